"""Kong's access log leaves out what a client may have put into a query or a header by mistake."""

import re

import yaml

from shop.machine import project_root

TOLD = {
    "remote_addr",
    "time_iso8601",
    "request_method",
    "uri",
    "status",
    "body_bytes_sent",
    "request_time",
    "kong_request_id",
}


def test_kongs_access_log_has_no_queries() -> None:
    compose = yaml.safe_load((project_root() / "docker-compose.yml").read_text())
    environment = compose["services"]["kong"]["environment"]
    name, _, line = environment["KONG_NGINX_HTTP_LOG_FORMAT"].partition(" ")
    assert environment["KONG_PROXY_ACCESS_LOG"] == f"/dev/stdout {name}"
    assert environment["KONG_ADMIN_ACCESS_LOG"] == "off"
    assert set(re.findall(r"\$\$(\w+)", line)) == TOLD
