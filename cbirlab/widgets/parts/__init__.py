"""Parts that panels are made of: galleries, maps, controls, menus, the state, tasks and the words beside them."""
