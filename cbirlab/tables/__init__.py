"""Tables: write a DataFrame as CSV, Markdown, LaTeX, Excel or JSON, and read a row's recipe back."""

from cbirlab.tables.files import (
    CELL_SIGNS,
    TEXTS,
    TO_READ,
    check_excel,
    read,
    read_recipe,
    suffixes,
    to_csv,
    to_json,
    write,
)
from cbirlab.tables.markup import to_latex, to_markdown, to_text
from cbirlab.tables.reading import (
    CORE,
    MAPS,
    check_columns,
    for_reading,
    heading,
    main_metrics,
    offered_columns,
    usual_columns,
    with_ends,
)

__all__ = [
    "CELL_SIGNS",
    "CORE",
    "MAPS",
    "TEXTS",
    "TO_READ",
    "check_columns",
    "check_excel",
    "for_reading",
    "heading",
    "main_metrics",
    "offered_columns",
    "read",
    "read_recipe",
    "suffixes",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
    "to_text",
    "usual_columns",
    "with_ends",
    "write",
]
