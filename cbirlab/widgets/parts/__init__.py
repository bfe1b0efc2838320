"""Parts of panels: galleries, maps, controls, menus, the state, tasks and the words that go with them."""
