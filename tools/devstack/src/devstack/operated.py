"""The stack as a target of the operator's commands, with what only a shop on this machine can do."""

import shlex
from contextlib import AbstractContextManager

from devstack import postgres, rabbitmq
from devstack.layout import exclusive
from devstack.programs import render_gateway, script
from devstack.stack import Stack, own_port
from devstack.supervisor import Supervisor


class OperatedStack(Stack):
    """A `shop.targets.LocalTarget`."""

    def addresses(self, service: str) -> dict[str, str]:
        names = {copy: own_port(copy) for copy in self.copies(service)}
        return {copy: self.http(own if own in self.ports else service) for copy, own in names.items()}

    def exclusive(self) -> AbstractContextManager[None]:
        return exclusive(self.layout)

    def is_running(self) -> bool:
        return Supervisor(self).is_alive()

    async def set_passwords(self) -> None:
        await postgres.set_passwords(self)
        await rabbitmq.set_passwords(self)

    def reload_gateway(self) -> None:
        render_gateway(self)
        Supervisor(self).signal("gateway", "HUP")

    def exported(self) -> dict[str, str]:
        supervisor = f"unix://{Supervisor(self).socket}"
        return {
            "url": self.gateway_url,
            "tls_url": self.gateway_tls_url,
            "sandbox_url": self.sandbox_url,
            "stripe_api_base": self.provider_url,
            "stripe_api_key": self.provider_key,
            "mailbox_url": self.mailbox_url,
            "management_url": self.management_url,
            "amqp_url": self.operator_amqp_url,
            "database_url": self.operator_dsn(),
            "admin_email": self.admin_email,
            "admin_password": self.admin_password,
            "nudge_days": str(self.nudge_days),
            "stop": shlex.join([script("supervisorctl"), "-s", supervisor, "stop", "{service}"]),
            "start": shlex.join([script("shop"), "--stack", str(self.folder), "up", "--only", "{service}"]),
        }
