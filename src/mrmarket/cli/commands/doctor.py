"""`mrmarket doctor`."""

from __future__ import annotations

from mrmarket.cli.exit_codes import ExitCode
from mrmarket.cli.options import DEFAULT_DATA, IN_FOLDER, ConfigFile, Data, Json, Store
from mrmarket.cli.output import print_json, print_table


def doctor(
    *,
    data: Data = DEFAULT_DATA,
    store: Store = IN_FOLDER,
    config: ConfigFile = None,
    json: Json = False,
) -> int:
    """Check the machine, the configuration and the data folder; say what to do about each fault."""
    from mrmarket.services.config import load_config
    from mrmarket.services.diagnosis import diagnose

    findings = diagnose(load_config(config, {"store.url": store} if store else {}), data)
    failed = any(finding.result == "fail" for finding in findings)
    if json:
        print_json({"ok": not failed, "findings": findings})
    else:
        print_table(
            ["", "check", "found", "next step"], [[f.result, f.check, f.found, f.next_step] for f in findings]
        )
    return ExitCode.CHECK_FAILED if failed else ExitCode.OK
