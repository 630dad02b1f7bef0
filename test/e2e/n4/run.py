"""Runs cases by name: each line of standard input is "MODULE CASE"; answers with a line of JSON.

Usage: run.py UPF_NAMESPACE DN_NAMESPACE API SLUICE
"""

import importlib
import json
import sys
import traceback

from lab import Lab


def run(lab, module, case, args):
    try:
        result = getattr(importlib.import_module(module), f"case_{case}")(lab, *args)
        lab.end()
        return {"ok": True, "result": result}
    except Exception:
        text = traceback.format_exc()
        try:
            lab.end()
        except Exception as error:
            text += f"\nand at its end: {error}"
        return {"ok": False, "error": text}


def main():
    lab = Lab(*sys.argv[1:])
    print("ready", flush=True)
    for line in sys.stdin:
        module, case, *args = line.split()
        print(json.dumps(run(lab, module, case, args)), flush=True)


main()
