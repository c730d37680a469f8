"""Findings and verdicts as a person reads them in a terminal or a pipe: plain text, no colours needed."""

from collections.abc import Iterator, Sequence

from monitor.probe.analysis import Finding


def analysis_text(findings: Sequence[Finding]) -> str:
    """The findings, ranked, each with what it rests on and what to do about it."""
    if not findings:
        return "nothing that was observed limits this server"
    return "\n\n".join("\n".join(_finding(rank, one)) for rank, one in enumerate(findings, 1))


def _finding(rank: int, finding: Finding) -> Iterator[str]:
    yield f"{rank}. {finding.sentence}"
    for figure in finding.evidence:
        yield f"   seen    {figure}"
    yield f"   change  {finding.setting}"
    yield f"   effect  {finding.effect}"
