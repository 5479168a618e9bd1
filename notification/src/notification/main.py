"""Notification: sends mails to shoppers."""

from datetime import timedelta

from chassis.messaging.encryption import Cipher
from chassis.runtime.jobs import Job
from chassis.runtime.service import Chassis, Components, Service
from notification import saga
from notification.delivery import MailDelivery
from notification.jobs import Retention
from notification.mail import ClaimLinks, MailRenderer
from notification.recipients import Recipients
from notification.settings import Settings
from notification.smtp import SmtpClient, SmtpServer
from notification.store import SendLog


def build(settings: Settings, chassis: Chassis) -> Components:
    claim_links = None
    if settings.claim_link is not None:
        claim_links = ClaimLinks.of(settings.claim_link, settings.claim_link_days, settings.contact_key)
    renderer = MailRenderer(settings.mail_from, settings.seller(), settings.order_link, claim_links)
    password = settings.smtp_password
    server = SmtpServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_tls,
        settings.smtp_username,
        password.get_secret_value() if password else None,
        settings.smtp_idle,
        settings.smtp_timeout,
        settings.smtp_data_timeout,
    )
    smtp = SmtpClient(
        server, renderer.envelope_sender, connections=settings.smtp_connections, stopping=chassis.stopping
    )
    delivery = MailDelivery(
        renderer,
        Cipher.of(settings.contact_key),
        Recipients(settings.contact_key),
        SendLog(chassis.engine, settings.recipient_mails_per_hour),
        smtp,
        keep_trying=timedelta(seconds=settings.letter_keep_trying),
    )
    retention = Retention(
        chassis.engine,
        kept_mail_days=settings.kept_mail_keep_days,
        correspondence_days=settings.correspondence_keep_days,
    )
    return Components(
        call=delivery.deliver,
        jobs=[Job("forget mails", 600, retention.delete_old)],
        closing=[smtp.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
