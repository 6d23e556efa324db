"""Signs of artefacts near transient candidates, and the score that they give: pure functions of arrays."""
