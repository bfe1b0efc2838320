"""A page to share: one HTML file that shows the prepared settings of a session without server and kernel."""

from cbirlab.widgets.shared_page.saving import save_page

__all__ = ["save_page"]
