"""Confident learning against cases worked by hand from the paper."""

import pytest
import torch

from lightning_recipes.evaluation.label_issues import confident_classes, label_issues


def test_an_image_counts_by_its_confident_class_and_not_by_its_most_probable_one() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    p = torch.tensor(
        [
            [0.96, 0.02, 0.02],
            [0.96, 0.02, 0.02],
            [0.20, 0.60, 0.20],
            [0.20, 0.40, 0.40],
            [0.52, 0.10, 0.38],  # most probable: 0, which does not reach 0.96; class 2 reaches its own 0.30
            [0.38, 0.40, 0.22],  # most probable: 1, which does not reach 0.50; none of the classes does
        ]
    )  # thresholds 0.96, 0.50, 0.30
    assert confident_classes(labels, p.double()).tolist() == [0, 0, 1, 2, 2, -1]
    issues = {issue.row: issue for issue in label_issues(labels, p)}
    assert {row: (i.suggested, i.confident) for row, i in issues.items()} == {
        3: (2, True),  # 0.40 each: class 2's threshold is reached, class 1's is not
        4: (0, False),  # the confident class is the label: a doubt, but no mistake by the paper's count
        5: (1, False),
    }


def test_an_image_whose_label_is_the_most_probable_class_can_be_a_mistake() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1])
    p = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45], [0.7, 0.3], [0.6, 0.4]])
    first, *others = label_issues(labels, p)  # thresholds: class 0 0.8167, class 1 0.35
    assert (first.row, first.given, first.suggested, first.confident) == (2, 0, 1, True)
    assert first.margin == pytest.approx(0.1)
    assert [(i.row, i.suggested, i.confident) for i in others] == [(3, 0, False), (4, 0, False)]


def test_a_class_without_images_is_nobodys_confident_class() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    p = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
    assert confident_classes(labels, p.double()).tolist() == [0, -1, 1, -1]
    assert label_issues(labels, p) == []


def test_images_that_are_all_alike_reach_their_own_mean() -> None:
    p = torch.tensor([[0.1, 0.9]]).repeat(7, 1)
    assert confident_classes(torch.ones(7, dtype=torch.int64), p.double()).tolist() == [1] * 7
