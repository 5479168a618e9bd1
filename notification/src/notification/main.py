"""Notification: mail to the shopper, and nothing but mail."""

from datetime import timedelta

from chassis.sealed import Seal
from chassis.service import Chassis, Parts, Service
from notification import saga
from notification.letters import Letters
from notification.post import Post
from notification.settings import Settings
from notification.smtp import Postman, Server
from notification.store import Cancellations


def build(settings: Settings, chassis: Chassis) -> Parts:
    letters = Letters(settings.mail_from)
    password = settings.smtp_password
    server = Server(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_tls,
        settings.smtp_username,
        password.get_secret_value() if password else None,
        settings.smtp_idle,
        settings.smtp_timeout,
    )
    postman = Postman(server, letters.envelope_sender, connections=settings.smtp_connections)
    post = Post(
        letters,
        Seal.of(settings.contact_key),
        Cancellations(chassis.engine),
        postman,
        keep_trying=timedelta(seconds=settings.letter_keep_trying),
    )
    return Parts(call=post.deliver, closing=[postman.aclose])


service = Service(saga.participant, Settings, build, description=__doc__)
