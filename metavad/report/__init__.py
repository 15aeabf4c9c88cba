"""A record of a benchmark, for people: tables, plots, and one HTML page that holds it all."""

from metavad.report.page import SceneStory, headline, render_page
from metavad.report.plots import auc_over_shots, timeline
from metavad.report.table import format_table, terminal_table

__all__ = [
    "SceneStory",
    "auc_over_shots",
    "format_table",
    "headline",
    "render_page",
    "terminal_table",
    "timeline",
]
