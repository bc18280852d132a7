"""A report as a notebook shows it."""

from html.parser import HTMLParser

import jax.numpy as jnp

import purebp
from purebp import gates

X = jnp.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]])


class Tags(HTMLParser):
    """Whether every tag that opens is closed, and all text."""

    def __init__(self):
        super().__init__()
        self.opened, self.texts = [], []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the signature of HTMLParser
        if tag != "br":
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_a_failing_report_is_whole_and_escaped():
    def small_fwd(x):
        return x * (x < 9), x

    def small_bwd(x, y_bar):
        return (-y_bar * (x < 9),)

    report = purebp.verify((small_fwd, small_bwd), X, budget="quick")
    tags = Tags()
    tags.feed(report._repr_html_())
    assert tags.opened == []
    text = " ".join(tags.texts)
    assert report.headline in text
    assert all(name in text for name in report.checks)
    assert "to see it again" in text
    assert report.reproduction in text
    assert "&lt;locals&gt;" not in text


def test_a_right_report_has_no_failures_to_open():
    report = purebp.verify(gates.neg, max_examples=1)
    html = report._repr_html_()
    assert "<details>" not in html
    assert "neg" in html
    assert "#1a7f37" in html
