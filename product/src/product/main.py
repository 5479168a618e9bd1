"""Product: the catalogue and its stock."""

from chassis.runtime.service import Chassis, Components, Service
from product import admin_api, api, browsing_api, jobs, saga
from product.catalogue import Catalogue
from product.counts import Counts
from product.search import SearchLimit
from product.settings import Settings
from product.vocabulary import Vocabulary


def build(settings: Settings, chassis: Chassis) -> Components:
    return Components(
        routers=[browsing_api.router, api.lists, admin_api.router, api.router],
        provide=[
            Catalogue(chassis.engine),
            SearchLimit(settings.lists_at_once, settings.lists_patience),
            Counts(chassis.engine, age=settings.counts_age),
            Vocabulary(chassis.engine, age=settings.vocabulary_age),
            chassis.transactions,
            chassis.engine,
        ],
        jobs=jobs.periodic(settings, chassis.transactions),
    )


service = Service(saga.participant, Settings, build, description="What is for sale, and how much of it.")
