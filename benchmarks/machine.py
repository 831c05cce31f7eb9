"""What a figure was measured on."""

import json
import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from model.cpus import available_cpus


def machine() -> dict[str, str]:
    """Processor, CPUs, Python and the versions of what does the work."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    features = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if flag in flags]
    packages = [name for name in ("torch", "onnxruntime", "numpy", "pillow", "uvicorn") if _installed(name)]
    return {
        "processor": f"{model} ({', '.join(features)})",
        "cpus": str(available_cpus()),
        "python": platform.python_version(),
    } | {name: metadata.version(name) for name in packages}


def _installed(package: str) -> bool:
    return find_spec({"pillow": "PIL"}.get(package, package)) is not None


def report(title: str, rows: list[dict[str, object]], path: Path | None) -> None:
    """A Markdown table on standard output, under what it was measured on; the same as JSON in `path`."""
    told = machine()
    print(f"\n{title}\n" + ", ".join(f"{name} {value}" for name, value in told.items()) + "\n")
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |")
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps({"title": title, "machine": told, "rows": rows}, indent=2, ensure_ascii=False) + "\n"
        )
