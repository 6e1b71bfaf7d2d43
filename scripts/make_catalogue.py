"""Make the list of models that is shipped, from OpenModelDB's; the same input gives the same bytes.

    curl -O https://openmodeldb.info/api/v1/models.json
    python scripts/make_catalogue.py models.json

Facts only: names, licences, shapes, sizes, hashes and addresses. Descriptions and pictures, which
are other people's works, stay behind.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from fourfold.weights.catalogue import SNAPSHOT, Entry, read_entries


def facts(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "author": entry.author,
        "license": entry.license,
        "architecture": entry.architecture,
        "scale": entry.scale,
        "inputChannels": entry.channels[0],
        "outputChannels": entry.channels[1],
        "date": entry.date,
        "tags": entry.tags,
        "resources": [
            {"type": o.type, "size": o.size, "sha256": o.sha256, "urls": o.urls}
            for o in entry.offers
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("list", type=Path)
    parser.add_argument("--out", type=Path, default=SNAPSHOT)
    arguments = parser.parse_args()
    values = json.loads(arguments.list.read_text(encoding="utf-8"))
    entries = sorted(read_entries(values, source=str(arguments.list)), key=lambda e: e.id)
    text = json.dumps([facts(entry) for entry in entries], separators=(",", ":"))
    arguments.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(len(entries), "models,", arguments.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
