"""Pipeline: a recipe becomes a run, and a run a row of a table."""

from cbirlab.pipeline.added import STAGES, Stage, add_stage, remove_stage
from cbirlab.pipeline.bench import Bench
from cbirlab.pipeline.recipe import Recipe
from cbirlab.pipeline.result import Clock, Run
from cbirlab.pipeline.running import run, select_metrics, table_row

__all__ = [
    "STAGES",
    "Bench",
    "Clock",
    "Recipe",
    "Run",
    "Stage",
    "add_stage",
    "remove_stage",
    "run",
    "select_metrics",
    "table_row",
]
