"""``report.html``: one page of a run that needs nothing else."""

from lightning_recipes.run.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
