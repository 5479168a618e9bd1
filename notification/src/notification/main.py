"""Notification: sends mails to shoppers."""

from chassis.runtime.service import Chassis, Components, Service
from notification import jobs, saga
from notification.delivery import MailDelivery
from notification.mail import MailRenderer
from notification.settings import Settings
from notification.smtp import SmtpClient
from notification.store import SendLog


def build(settings: Settings, chassis: Chassis) -> Components:
    renderer = MailRenderer(
        settings.mail_from,
        settings.seller(),
        settings.order_link,
        settings.claim_links(),
        settings.account_links(),
    )
    smtp = SmtpClient(settings, renderer.envelope_sender, chassis.stopping)
    send_log = SendLog(chassis.engine, settings.recipient_mails_per_hour)
    delivery = MailDelivery(settings, renderer, send_log, smtp)
    return Components(
        call=delivery.deliver,
        jobs=jobs.periodic(settings, chassis.engine),
        closing=[smtp.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
