"""Prints what was said of each hook, and judges it."""

import fnmatch
import json
import os
import sys

FEWEST = 30
HIGH = 4


def at(document, path, default="-"):
    """A value of an alert; the shape of some has changed between versions."""
    for name in path.split("."):
        if not isinstance(document, dict) or name not in document:
            return default
        document = document[name]
    if isinstance(document, dict):
        document = document.get("status", document.get("state", document))
    return default if document is None else document


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    alerts = [record for record in records if at(record, "event.kind") == "alert"]
    with open(sys.argv[2], encoding="utf-8") as lines:
        steps = [json.loads(line) for line in lines]
    packages = {step["package"] for step in steps if step["installed"]}

    def label(alert):
        """Which package, by which way: the step of this place whose hook it is, else of this place."""
        path = at(alert, "file.path")
        near = [step for step in steps if path.startswith(step["place"] + "/")]
        exact = [step for step in near if step["hook"] and fnmatch.fnmatch(os.path.basename(path), step["hook"])]
        listed = at(alert, "pyhookwatch.package", "")
        step = (exact or near or [{"package": "?", "installer": "?"}])[-1]
        return (step["package"] if exact else listed or "-"), step["installer"]

    rows = {}
    for alert in alerts:
        package, installer = label(alert)
        row = (
            package,
            installer,
            at(alert, "file.path"),
            at(alert, "event.action"),
            at(alert, "event.severity", 0),
            at(alert, "pyhookwatch.detection_type"),
            at(alert, "pyhookwatch.content.class", at(alert, "pyhookwatch.content_class")),
            at(alert, "pyhookwatch.provenance", at(alert, "pyhookwatch.hook.provenance")),
        )
        rows[row] = rows.get(row, 0) + 1
    words = {1: "informational", 2: "low", 3: "medium", 4: "high", 5: "critical"}
    print("| package | installer | hook | action | level | detection type | content | provenance | alerts |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row, count in sorted(rows.items(), key=lambda item: (-item[0][4], item[0][1], item[0][2])):
        cells = [*row, count]
        cells[4] = words.get(row[4], row[4])
        print("| " + " | ".join(str(cell) for cell in cells) + " |")

    failures = []
    bad = [row for row in rows if row[4] >= HIGH]
    if bad:
        failures.append(f"{len(bad)} hooks were called high or critical")
    if len(packages) < FEWEST:
        failures.append(f"only {len(packages)} packages were installed")
    for step in steps:
        if not step["installed"]:
            failures.append(f"{step['package']} was not installed by {step['installer']}")
        elif step["hook"]:
            paths = [at(alert, "file.path") for alert in alerts]
            pattern = f"{step['place']}/*{step['hook']}"
            if not any(fnmatch.fnmatch(path, pattern) for path in paths):
                failures.append(f"{step['hook']} of {step['package']}, installed by {step['installer']}, was not seen")
    gaps = [record for record in records if at(record, "event.kind") != "alert"]
    print(f"{len(packages)} packages, {len(steps)} installations, {len(alerts)} alerts, {len(gaps)} gaps")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


main()
