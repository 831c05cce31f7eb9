"""docs/names.md has every public name, and no other."""

from tests.support.names import FILE, document


def test_the_page_is_up_to_date() -> None:
    """Where it isn't, `python -m tests.support.names` writes it."""
    assert FILE.read_text() == document()


def test_the_page_has_names_of_every_kind() -> None:
    lines = document().splitlines()
    for name in ("POST /predict", "X-Part-ID", "Prediction.probability", "queue-full", "anomaly_map", "ms.decode"):
        assert any(line.startswith(f"| `{name}` |") for line in lines), name
    for name in ("Manifest.schema", "fit", "--store", "--role"):
        assert any(line.startswith(f"| `{name}` |") for line in lines), name
    assert any("camspector_http_requests_total" in line for line in lines)
