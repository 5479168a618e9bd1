"""Notification: sends mails to shoppers."""

from datetime import timedelta

from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis, Components, Service
from notification import saga
from notification.delivery import MailDelivery, Recipients
from notification.jobs import jobs
from notification.mail import MailRenderer
from notification.settings import Settings
from notification.smtp import SmtpClient
from notification.store import SendLog


def build(settings: Settings, chassis: Chassis) -> Components:
    renderer = MailRenderer(
        settings.mail_from, settings.seller(), settings.order_link, settings.claim_links()
    )
    smtp = SmtpClient(settings, renderer.envelope_sender, chassis.stopping)
    delivery = MailDelivery(
        renderer,
        Cipher.of(settings.contact_key),
        Recipients(settings.contact_key),
        SendLog(chassis.engine, settings.recipient_mails_per_hour),
        smtp,
        keep_trying=timedelta(seconds=settings.letter_keep_trying),
    )
    return Components(
        call=delivery.deliver,
        jobs=jobs(
            chassis.engine,
            kept_mail_days=settings.kept_mail_keep_days,
            correspondence_days=settings.correspondence_keep_days,
        ),
        closing=[smtp.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
