"""Product: the catalogue and its stock."""

from chassis.runtime.jobs import Job
from chassis.runtime.retention import Rule, retention
from chassis.runtime.service import Chassis, Components, Service
from product import admin, api, saga
from product.catalogue import Catalogue
from product.jobs import check_waiting_orders, nudge_stuck_holds
from product.search import SearchLimit
from product.settings import Settings
from product.spelling import Vocabulary

HOLDS = Rule("hold", key="order_id", where="state NOT IN ('reserved', 'waiting')")


def build(settings: Settings, chassis: Chassis) -> Components:
    async def reconcile() -> None:
        await nudge_stuck_holds(chassis.transactions, settings)

    async def waiting() -> None:
        await check_waiting_orders(chassis.transactions, settings)

    return Components(
        routers=[api.lists, admin.router, api.router],
        provide=[
            Catalogue(chassis.engine),
            SearchLimit(settings.lists_at_once, settings.lists_patience),
            Vocabulary(chassis.engine, age=settings.vocabulary_age),
            chassis.transactions,
            chassis.engine,
        ],
        jobs=[
            Job("reconcile", settings.reconcile_every, reconcile),
            Job("waiting", settings.waiting_every, waiting),
            retention(chassis.engine, (HOLDS, settings.hold_keep_days)),
        ],
    )


service = Service(saga.participant, Settings, build, description="What is for sale, and how much of it.")
