"""What "near" means for each embedding model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """What "near" means for one embedding model. The numbers belong to the model, not to the code.

    All ``*edge`` and ``*cosine`` values are cosines of unit vectors; all ``*vote`` values are shares from 0 to 1.
    The defaults are those of all-MiniLM-L6-v2.
    """

    centre: float = 0.8
    """Discovery: share of the mean vector that is taken off before comparing. What all statements about one product
    have in common says nothing about which problem it is, and how much that is differs between companies: without it
    no cosine means the same in two of them. Not all of it, or a sample full of one problem would lose that problem."""

    edge: float = 0.38
    """Discovery at scale: two statements are linked only above this cosine (after centring). Deliberately low: people
    word one problem in ways that lie at 0.4 to 0.5, and the limit of ``neighbours`` already keeps chance links few. In
    a corpus of near paraphrases any value from 0.3 to 0.6 gives the same groups; in one of free wording 0.59 leaves
    three quarters of the repeated problems unfound."""
    neighbours: int = 15
    """Discovery at scale: links per statement, its nearest ones. 15 is the default of UMAP and BERTopic, too."""
    resolution: float = 8.0
    """Discovery with some hundred statements: modularity resolution; above 1 undoes modularity's known tendency to
    merge small groups (Fortunato & Barthelemy 2007). Less of it joins different problems there."""
    merge: float = 0.6
    """Two groups whose statements have this mean cosine (not centred) are one, unless both are known complaints.
    Modularity splits what dominates a sample; this joins it again. The mean within one problem is about 0.6, between
    two problems of one subject 0.4 to 0.5."""

    cohesion: float = 0.15
    """Discovery at scale: mean cosine (after centring) to the others of a group that a statement without a complaint
    needs to join it. Beyond 0.2 coverage is lost where wording is free."""

    small_edge: float = 0.37
    """As ``edge`` for small samples: with few statements a chance link is as likely as a true one."""
    small_neighbours: int = 10
    """As ``neighbours`` for small samples: a group of five has no fifteen neighbours."""
    small_resolution: float = 2.0
    """As ``resolution`` for small samples: near plain modularity, since a small graph has no resolution limit."""
    small_merge: float = 0.6
    """As ``merge`` for small samples."""
    small_cohesion: float = 0.33
    """As ``cohesion`` for small samples: there chance links make up much of a group, and this costs fewer true members
    than a stricter ``small_edge``."""
    small_below: int = 100
    """Distinct statements at which the small settings hold; from here they move with log(n) to those at scale."""
    few_edge: float = 0.26
    """As ``edge`` for the first statements. Each statement meets few others, so that chance links are few; and three
    people who word one problem in their own ways lie far apart. With ``small_edge`` a quarter of such problems is heard
    among twenty statements, with this two thirds (bench/thresholds.py)."""
    few_cohesion: float = 0.18
    """As ``cohesion`` for the first statements."""
    few_below: int = 15
    """Distinct statements up to which the settings for few hold; from here they move with log(n) to the small ones."""
    large_from: int = 300
    """Distinct statements from which the settings at scale hold."""
    vast_resolution: float = 3.5
    """As ``resolution`` from ``vast_from`` statements on: there every statement finds its full number of neighbours
    within its own problem, and more resolution only splits problems. In between it moves with log(n)."""
    vast_from: int = 10_000
    """Distinct statements from which ``vast_resolution`` holds."""
    smallest_group: int = 3
    """Statements (counted with repetitions) that make a group; fewer stay in the pool. Two may be chance."""
    move_share: float = 0.5
    """Refine: a statement leaves its complaint only for one to which so much more of its links lead, as a share of all
    its links (weighted by cosine). People see every move: streamed in 20 batches, with 0.35 0.08 of Banking77's
    statements moved in the worst refine after the fifth, with 0.5 0.05. Comparing distances to centres instead moved
    as many for 0.01 less of the mutual information."""
    absorb: float = 0.8
    """Refine: a known complaint is given up only where the one that takes its statements has a mean this near to its
    own (cosine after centring); else it exists on. Without this 0.03 of the statements moved in the mean refine, with
    it 0.02, and the worst is better by 0.02; the adjusted Rand index is lower by 0.01."""

    assign_neighbours: int = 10
    """Assignment: exemplars that vote."""
    vote_floor: float = 0.3
    """Assignment: cosine at which an exemplar has no vote; unrelated short texts reach about this much."""
    assign_vote: float = 0.3
    """Assignment: share of the similarity-weighted votes that the winning complaint needs. With 0.4 three times as many
    texts (0.08 of Banking77's sentences) wait between two complaints for the next refine."""
    assign_cosine: float = 0.55
    """Assignment: cosine of the winner's nearest exemplar."""
    part_margin: float = 0.17
    """Two parts of a comment speak of two complaints when each is nearer to its own than to the other's by this much
    (mean cosine of the three closest exemplars). Of 500 pairs of Banking77 sentences joined to one comment both
    complaints are found in 0.89, and 0.16 of its comments of several sentences about one matter are spread over two;
    with 0.16 0.89 and 0.18, with 0.18 0.88 and 0.14 (bench/parts.py)."""

    like: float = 0.63
    """Routing: a complaint is like some examples, or like another complaint, from this likeness on
    (`likeness.likeness`). Of the demo's problems, given three examples of each, 0.90 are found and 0.93 of what is
    found is right; given five, 0.96 and 0.88; given three examples each of three problems, 0.91 and 0.88. One example
    alone finds 0.30, and nothing wrong (bench/routing.py)."""


TOY_THRESHOLDS = Thresholds(
    centre=0.0,
    edge=0.35,
    small_edge=0.35,
    few_edge=0.35,
    small_cohesion=0.32,
    few_cohesion=0.32,
    merge=0.5,
    small_merge=0.5,
    assign_cosine=0.4,
    vote_floor=0.1,
    like=0.45,
)
# One problem said in two languages lies at 0.4, two problems at 0.1, two problems of one bank at 0.3: everything is
# nearer together than with MiniLM, so links begin lower and the resolution grows more slowly with the sample. Settled
# with bench/languages.py, Banking77 and the demo; docs/adr/0006-multilingual.md has the figures.
MULTILINGUAL_THRESHOLDS = Thresholds(
    centre=0.9,
    edge=0.30,
    small_edge=0.35,
    few_edge=0.35,
    resolution=6.0,
    small_resolution=1.0,
    cohesion=0.12,
    small_cohesion=0.16,
    few_cohesion=0.16,
    large_from=3_000,
    vast_resolution=5.0,
    vote_floor=0.25,
    assign_vote=0.35,
    assign_cosine=0.38,
    like=0.65,
)
