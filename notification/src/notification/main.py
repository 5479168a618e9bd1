"""Notification: mail to the shopper, and nothing but mail."""

from datetime import timedelta

from chassis.messaging.sealed import Seal
from chassis.runtime.periodic import Periodic
from chassis.runtime.service import Chassis, Components, Service
from notification import saga
from notification.claim_links import ClaimLinks
from notification.letters import Letters
from notification.post import Post
from notification.recipients import Recipients
from notification.settings import Settings
from notification.smtp import Postman, Server
from notification.store import Beginnings, Retention


def build(settings: Settings, chassis: Chassis) -> Components:
    letters = Letters(settings.mail_from, settings.seller(), settings.order_link, _claim_links(settings))
    password = settings.smtp_password
    server = Server(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_tls,
        settings.smtp_username,
        password.get_secret_value() if password else None,
        settings.smtp_idle,
        settings.smtp_timeout,
        settings.smtp_data_timeout,
    )
    postman = Postman(
        server, letters.envelope_sender, connections=settings.smtp_connections, stopping=chassis.stopping
    )
    post = Post(
        letters,
        Seal.of(settings.contact_key),
        Recipients(settings.contact_key),
        Beginnings(chassis.engine, settings.recipient_mails_per_hour),
        postman,
        keep_trying=timedelta(seconds=settings.letter_keep_trying),
    )
    retention = Retention(
        chassis.engine,
        kept_mail_days=settings.kept_mail_keep_days,
        correspondence_days=settings.correspondence_keep_days,
    )
    return Components(
        call=post.deliver,
        periodic=[Periodic("forget mails", 600, retention.forget)],
        closing=[postman.aclose],
    )


def _claim_links(settings: Settings) -> ClaimLinks | None:
    if settings.claim_link is None:
        return None
    return ClaimLinks.of(settings.claim_link, settings.claim_link_days, settings.contact_key)


service = Service(saga.participant, Settings, build, description=__doc__)
