"""What the service declares: its schema, its document, its settings."""

from typing import Any

from sqlalchemy import inspect

from order.tables import metadata


async def test_the_tables_are_as_the_migrations_made_them(order: Any) -> None:
    async with order.engine.connect() as connection:
        found = await connection.run_sync(
            lambda sync: {
                name: {column["name"]: column["nullable"] for column in inspect(sync).get_columns(name)}
                for name in inspect(sync).get_table_names()
                if name != "alembic_version"
            }
        )
    assert found == {
        name: {column.name: column.nullable for column in table.columns}
        for name, table in metadata.tables.items()
    }


async def test_the_document_names_every_endpoint_with_its_problems(order: Any) -> None:
    document = (await order.http.get("/openapi.json")).json()
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {
        ("POST", "/v1/orders"),
        ("GET", "/v1/orders"),
        ("GET", "/v1/orders/{order}"),
        ("POST", "/v1/orders/{order}/cancel"),
        ("GET", "/v1/orders/{order}/timeline"),
        ("GET", "/v1/orders/{order}/events"),
        ("POST", "/v1/orders/{order}/events/ticket"),
        ("POST", "/v1/order-claims"),
        ("POST", "/v1/order-lookups"),
        ("POST", "/v1/orders/{order}/fulfil"),
        ("GET", "/v1/orders/{order}/returns"),
        ("POST", "/v1/orders/{order}/returns"),
        ("POST", "/v1/orders/{order}/returns/{return_id}/receive"),
        ("POST", "/v1/orders/{order}/returns/{return_id}/reject"),
        ("POST", "/v1/orders/{order}/returns/{return_id}/withdraw"),
        ("POST", "/v1/orders/{order}/refunds"),
        ("POST", "/v1/orders/{order}/refunds/{refund_id}/settle"),
        ("GET", "/v1/orders/{order}/audit"),
    }
    assert {"202", "400", "401", "409", "422", "503"} <= set(operations["POST", "/v1/orders"]["responses"])
    for (_, path), operation in operations.items():
        assert operation["summary"]
        is_open = path == "/v1/order-lookups"
        assert ({"503"} if is_open else {"401", "503"}) <= set(operation["responses"])
    watching = operations["GET", "/v1/orders/{order}/events"]["responses"]
    assert set(watching["200"]["content"]) == {"text/event-stream"}
