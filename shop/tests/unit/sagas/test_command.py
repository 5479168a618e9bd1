"""How the commands parse an order."""

import pytest
from typer.testing import CliRunner

from shop.cli import app


@pytest.mark.parametrize("command", [["show"], ["nudge", "--why", "a slip"]])
@pytest.mark.parametrize("typed", ["K7Q2X", "K7Q2X-9XMDU", "0192f0c1"])
def test_neither_a_prefix_nor_a_misspelt_number_is_an_order(command: list[str], typed: str) -> None:
    result = CliRunner().invoke(app, ["saga", *command, typed], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "must be an order's id or its number, such as K7Q2X-9XMDA" in result.output
