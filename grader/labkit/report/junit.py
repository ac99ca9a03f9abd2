"""JUnit XML, as GitLab and most other CI systems read it."""

import re
from typing import Final
from xml.etree import ElementTree as ET

from labkit.report.text import without_controls
from labkit.result import Result, TestResult

NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: Result) -> str:
    """One test suite; a grader error is an <error>, never a <failure>."""
    tests = result.tests
    suite = ET.Element(
        "testsuite",
        name=result.lab,
        tests=str(len(tests)),
        failures=str(sum(t.status == "fail" for t in tests)),
        errors=str(sum(t.status == "error" for t in tests)),
        time=f"{result.seconds:.3f}",
    )
    for test in tests:
        suite.append(_case(test, result.lab))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(test: TestResult, lab: str) -> ET.Element:
    shown = test.shown
    case = ET.Element("testcase", classname=lab, name=shown.name, time=f"{test.seconds:.3f}")
    if test.status != "pass":
        kind = "failure" if test.status == "fail" else "error"
        ET.SubElement(case, kind, message=_clean(shown.rule)).text = _clean(shown.message)
    if shown.output:
        ET.SubElement(case, "system-out").text = _clean(shown.output)
    return case


def _clean(text: str) -> str:
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", without_controls(text))
