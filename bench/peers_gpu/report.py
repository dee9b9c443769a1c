#!/usr/bin/env python3
"""Turn what bench/gpu.sh measured into one JSON line or a Markdown page."""
import argparse
import json


def search_line(args):
    """Sum up a run: wall time, how busy the GPU was, how long steps waited for data."""
    stages = {}
    accuracy = None
    with open(args.log) as f:
        for line in f:
            r = json.loads(line)
            values, stage = r.get("values") or {}, (r.get("text") or {}).get("stage", "")
            if r.get("kind") == "step":
                stages[stage] = (values.get("seconds") or 0, values.get("data_wait") or 0)
            elif r.get("kind") == "eval":
                accuracy = values.get("accuracy")
    seconds = sum(s for s, _ in stages.values())
    wait = sum(w for _, w in stages.values())
    with open(args.busy) as f:
        busy = [float(v) for v in f.read().split() if v.replace(".", "").isdigit()]
    print(json.dumps({
        "wall_s": args.wall, "training_s": round(seconds, 1), "waiting_share": round(wait / seconds, 4) if seconds else None,
        "busy_percent": round(sum(busy) / len(busy), 1) if busy else None, "validation_accuracy": accuracy,
    }))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return lines + ["| " + " | ".join(str(c) for c in r) + " |" for r in rows] + [""]


def ratio(a, b):
    return f"{a / b:.2f}" if a and b else "-"


def page(args):
    by = {}
    with open(args.results) as f:
        for line in f:
            r = json.loads(line)
            by.setdefault(r["section"], []).append(r)
    d = ([r for r in by.get("device", []) if "name" in r] or [{}])[0]
    out = ["# GPU benchmarks", ""]
    out += [f"One {d.get('name', 'GPU')}, driver {d.get('driver')}, {d.get('date')}; {d.get('program')}; PyTorch {d.get('torch')}, JAX {d.get('jax')}.",
            "Taken by `bench/gpu.sh`: programs compile together and are timed one after the other. Medians in ms; device memory in MB.", ""]
    missing = [f"- {s}: {r['skipped']}" for s, rs in by.items() for r in rs if "skipped" in r]
    suites = [(s, r) for s in ("quick", "suite") for r in by.get(s, []) if "pass" in r]
    if suites:
        out += ["## Conformance", ""]
        out += [f"- {'the quickest third' if s == 'quick' else 'the rest'}: {r['pass']} passed, {r['fail']} failed, {r['skip']} skipped; {r['parts_failed']} of the processes did not end well." for s, r in suites] + [""]
    steps = [r for r in by.get("steps", []) if "median_ms" in r]
    if steps:
        ours, peer = ({r["workload"]: r for r in steps if r["program"] == p} for p in ("entangle", "torch"))
        rows = [[w, r["median_ms"], peer.get(w, {}).get("median_ms", "-"), ratio(r["median_ms"], peer.get(w, {}).get("median_ms")), round(r.get("device_mb") or 0)] for w, r in ours.items()]
        out += ["## Training steps, float32", ""] + table(["workload", "entangle", "PyTorch eager", "time ratio", "entangle MB"], rows)
    titles = {"resnet50": "ResNet-50 at 224x224", "vit_s": "ViT-S at 224x224", "small": "ResNet-20 and a small ViT at 32x32", "tf32": "ResNet-50 at 224x224, again"}
    for section, title in titles.items():
        rows = [r for r in by.get(section, []) if "median_ms" in r]
        if not rows:
            continue
        ours = {r["workload"]: r for r in rows if r["program"] == "entangle"}
        lines = [[r["workload"], r["program"], r.get("mode", ""), r["median_ms"], ratio(ours.get(r["workload"], {}).get("median_ms"), r["median_ms"]), round(r.get("device_mb") or 0)]
                 for r in sorted(rows, key=lambda r: (r["workload"], r["program"] != "entangle"))]
        out += [f"## {title}, batch {rows[0]['batch']}, {rows[0]['precision']}", ""] + table(["workload", "program", "mode", "ms", "entangle / it", "device MB"], lines)
        for w, r in ours.items():
            if w + "_super" in ours:
                out += [f"An entangled step over two plain ones: {ours[w + '_super']['median_ms'] / (2 * r['median_ms']):.2f}.", ""]
    for r in by.get("search", []):
        if "wall_s" in r:
            out += ["## A search from end to end", "", f"{r['wall_s']} s in all, {r['training_s']} s of training; the GPU was busy {r['busy_percent']} % of the wall time; "
                    f"steps waited for data {100 * r['waiting_share']:.1f} % of theirs; last validation accuracy {r['validation_accuracy']}." if r["waiting_share"] is not None else f"{r['wall_s']} s in all.", ""]
    if missing:
        out += ["## Left out", ""] + missing + [""]
    print("\n".join(out).rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__)
    sub = p.add_subparsers(dest="what", required=True)
    s = sub.add_parser("search")
    s.add_argument("--log", required=True)
    s.add_argument("--busy", required=True)
    s.add_argument("--wall", type=int, required=True)
    s.set_defaults(run=search_line)
    s = sub.add_parser("page")
    s.add_argument("--results", required=True)
    s.set_defaults(run=page)
    a = p.parse_args()
    a.run(a)


if __name__ == "__main__":
    main()
