# SPDX-License-Identifier: LGPL-2.1-or-later
"""A strict reader of OpenMetrics 1.0 text: what the format does not allow is an error, also where scrapers would be
lenient."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
META = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.+)")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?|[+-]Inf|NaN")
SUFFIXES = {"counter": {"_total"}, "gauge": {""}, "info": {"_info"}, "histogram": {"_bucket", "_count", "_sum"}}


class Malformed(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Malformed(what)


def parse_labels(text):
    labels, rest = {}, text or ""
    while rest:
        match = LABEL.match(rest)
        need(match, f"labels {text!r}")
        name, value = match.groups()
        need(name not in labels, f"label {name} twice in {text!r}")
        labels[name] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)
        rest = rest[match.end():]
        need(not rest or (rest[0] == "," and len(rest) > 1), f"labels {text!r}")
        rest = rest[1:]
    return labels


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, None, None, None
        self.samples = {}  # (suffix, labels): value

    def add_meta(self, kind, value):
        kind = kind.lower()
        need(not self.samples, f"{kind} of {self.name} behind its samples")
        need(getattr(self, kind) is None, f"{kind} of {self.name} twice")
        setattr(self, kind, value)
        need(kind != "type" or value in SUFFIXES, f"type {value}")
        need(kind != "unit" or self.name.endswith("_" + value), f"{self.name} does not end with its unit {value}")

    def add_sample(self, name, labels, value):
        suffix = name[len(self.name):]
        need(self.type is not None, f"{self.name} has no type")
        need(suffix in SUFFIXES[self.type], f"{name} is no sample of a {self.type} {self.name}")
        need(NUMBER.fullmatch(value), f"{value} is no number")
        key = (suffix, frozenset(labels.items()))
        need(key not in self.samples, f"{name} {labels} twice")
        self.samples[key] = float(value)
        if self.type in ("counter", "histogram"):
            need(self.samples[key] >= 0, f"{name} is negative")
        need(self.type != "info" or value == "1", f"{name} is not 1")

    def check_histogram(self):
        series = {}
        for (suffix, labels), value in self.samples.items():
            plain = frozenset((k, v) for k, v in labels if k != "le")
            one = series.setdefault(plain, {"buckets": []})
            if suffix == "_bucket":
                need("le" in dict(labels), f"a bucket of {self.name} without le")
                need(re.fullmatch(r"\d+\.\d+|\+Inf", dict(labels)["le"]), f"le={dict(labels)['le']}")
                one["buckets"].append((float(dict(labels)["le"]), value))
            else:
                one[suffix] = value
        for labels, one in series.items():
            bounds, counts = zip(*one["buckets"])
            need(list(bounds) == sorted(set(bounds)) and bounds[-1] == float("inf"), f"buckets of {self.name} {labels}")
            need(list(counts) == sorted(counts), f"buckets of {self.name} {labels} do not add up")
            need(counts[-1] == one["_count"] and "_sum" in one, f"count of {self.name} {labels}")


def parse(text):
    """{family: Family}"""
    need(text.endswith("# EOF\n"), "no # EOF at the end")
    families, current = {}, None
    for line in text[:-len("# EOF\n")].split("\n")[:-1]:
        meta = META.fullmatch(line)
        if meta:
            kind, name, value = meta.groups()
            if current is None or current.name != name:
                need(name not in families, f"{name} is in two places")
                current = families[name] = Family(name)
            current.add_meta(kind, value)
            continue
        match = SAMPLE.fullmatch(line)
        need(match and not line.startswith("#"), f"line {line!r}")
        need(current is not None and match[1].startswith(current.name), f"{match[1]} is in no family")
        current.add_sample(match[1], parse_labels(match[2]), match[3])
    for family in families.values():
        need(family.type and family.help, f"{family.name} lacks type or help")
        if family.type == "histogram":
            family.check_histogram()
    return families


def value(families, sample, default=0, **labels):
    """The value of a sample by its full name."""
    for family in families.values():
        if sample.startswith(family.name):
            found = family.samples.get((sample[len(family.name):], frozenset(labels.items())))
            if found is not None:
                return found
    return default
