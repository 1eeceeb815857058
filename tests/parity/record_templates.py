#!/usr/bin/env python3
"""Writes templates.json: what Jinja2, as transformers sets it up, makes of template_constructs.py's
templates. Usage: record_templates.py FILE, with the packages of requirements.txt (not torch and peft)."""
import json
import pathlib
import sys

import jinja2
import transformers

import template_constructs as constructs
import template_reference as reference


def main():
    cases = []
    for template in constructs.all_templates():
        found = reference.render(template, constructs.VARIABLES)
        case = {"template": template}
        if found[0] == "text":
            case["text"] = found[1]
            if found[2]:
                case["generations"] = found[2]
        cases.append(case)
    recorded = {"made_with": f"jinja2 {jinja2.__version__}, transformers {transformers.__version__}",
                "now_s": reference.NOW, "variables": constructs.VARIABLES, "cases": cases, "refused": constructs.REFUSED}
    rows = ",\n".join(json.dumps(case) for case in cases)
    rest = {key: value for key, value in recorded.items() if key != "cases"}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(rest)[:-1] + ',\n"cases": [\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
