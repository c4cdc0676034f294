"""The fields of a form, as they are filled."""

from __future__ import annotations

from llm_orchestrator.web.forms import Field, fill

KIND = Field("type", "Kind", "select", options=(("openai", "OpenAI"), ("gemini", "Gemini")))
MODEL = Field("model_id", "Model", "select", options=(("1", "m"),), numbered=True)


def test_a_value_of_old_stays_chosen() -> None:
    """Otherwise a browser chooses the first, and saving the form changes it unasked."""
    (field,) = fill([KIND], {"type": "azure"}, old=True)
    assert list(field.options) == [("azure", "azure"), *KIND.options]
    (field,) = fill([KIND], {"type": "azure"})
    assert list(field.options) == list(KIND.options)


def test_values_that_can_be_chosen_are_there_once() -> None:
    for field, value in ((KIND, "gemini"), (KIND, None), (MODEL, 1), (MODEL, "1")):
        (filled,) = fill([field], {field.name: value}, old=True)
        assert list(filled.options) == list(field.options)
