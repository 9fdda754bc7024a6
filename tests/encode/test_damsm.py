"""DAMSM: padding that changes nothing, four losses with known values, Inception's shape, the same on ONNX."""

import itertools
import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pictura.core.errors import ConfigError, ModelError, SizeError
from pictura.core.types import Conditioning
from pictura.encode.damsm.config import DamsmConfig
from pictura.encode.damsm.inception import Inception
from pictura.encode.damsm.losses import (
    NAMES,
    MatchSettings,
    attend,
    damsm_losses,
    sentence_scores,
    word_scores,
)
from pictura.encode.damsm.model import Damsm, InceptionEncoder, Look, RegionEncoder, WordEncoder
from pictura.train.export.graphs import Tracing, trace, with_distinct_weights

TINY = DamsmConfig(vocab_size=30, embedding=12, width=16, widths=(8, 8, 16), size=32, region_side=4)
PAPER = MatchSettings.of("paper")


def captions(*lengths: int) -> tuple[Tensor, Tensor]:
    """Random captions of such lengths, with random ids also in the padding."""
    ids = torch.randint(0, 30, (len(lengths), max(lengths)), generator=torch.manual_seed(1))
    return ids, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def pair(seed: int, *lengths: int, num_regions: int = 4, width: int = 8) -> tuple[Look, Conditioning]:
    """Random features of as many pictures as captions."""
    rng = torch.Generator().manual_seed(seed)
    size, longest = len(lengths), max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    look = Look(torch.randn(size, num_regions, width, generator=rng), torch.randn(size, width, generator=rng))
    words = torch.randn(size, longest, width, generator=rng)
    return look, Conditioning(tokens=words, mask=mask, sentence=torch.randn(size, width, generator=rng))


def rows(look: Look, cond: Conditioning, order: list[int]) -> tuple[Look, Conditioning]:
    """Some pairs of a batch."""
    sentence = torch.as_tensor(cond.sentence)[order]
    picked = Conditioning(tokens=cond.tokens[order], mask=cond.mask[order], sentence=sentence)
    return Look(look.regions[order], look.whole[order]), picked


def test_words_are_those_of_a_packed_bidirectional_lstm() -> None:
    torch.manual_seed(0)
    ours = WordEncoder(TINY)
    theirs = nn.LSTM(12, 8, batch_first=True, bidirectional=True)
    state = {**ours.ahead.state_dict(), **{f"{k}_reverse": v for k, v in ours.back.state_dict().items()}}
    theirs.load_state_dict(state)
    ids, mask = captions(5, 1, 3, 5)
    read = ours(ids, mask)
    lengths = mask.sum(dim=1)
    packed = pack_padded_sequence(ours.embed(ids), lengths, batch_first=True, enforce_sorted=False)
    words, (last, _) = theirs(packed)
    torch.testing.assert_close(read.tokens, pad_packed_sequence(words, batch_first=True)[0])
    torch.testing.assert_close(read.sentence, torch.cat([last[0], last[1]], dim=1))
    assert not read.tokens[~mask].any()
    alone = ours(ids[2:3, :3], mask[2:3, :3])
    torch.testing.assert_close(alone.tokens, read.tokens[2:3, :3])
    torch.testing.assert_close(alone.sentence, read.sentence[2:3])


def test_dropout_is_what_the_caller_hands_over() -> None:
    torch.manual_seed(0)
    encoder = WordEncoder(TINY)
    ids, mask = captions(4, 2)
    once, again = encoder(ids, mask), encoder(ids, mask)
    assert torch.equal(once.tokens, again.tokens)
    nothing = encoder(ids, mask, torch.zeros(2, 4, 12))
    encoder.embed.weight.data.zero_()
    assert torch.equal(nothing.tokens, encoder(ids, mask).tokens)


def test_one_graph_reads_captions_of_any_length() -> None:
    encoder = with_distinct_weights(nn.ModuleDict({"text_encoder": WordEncoder(TINY)}))

    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text_encoder = encoder["text_encoder"]

        def forward(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
            read = self.text_encoder(token_ids, torch.ones_like(token_ids, dtype=torch.bool))
            return read.tokens, read.sentence

    example = {"token_ids": torch.ones(1, 5, dtype=torch.int64)}
    tracing = Tracing(Reading(), example, {"token_ids": {1: Dim("T", max=4096)}})
    graph = trace({"text_encoder": tracing}, set(encoder.state_dict()))["text_encoder"]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the graph calls its output five tokens long
    values = [
        onnxruntime.OrtValue.ortvalue_from_numpy(encoder.state_dict()[n].numpy()) for n in graph.weights
    ]
    options.add_external_initializers(list(graph.weights), values)
    session = onnxruntime.InferenceSession(graph.content, options, providers=["CPUExecutionProvider"])
    for length in (1, 2, 5, 9):
        ids, mask = captions(length)
        words, sentence = session.run(None, {"token_ids": ids.numpy()})
        read = encoder["text_encoder"](ids, mask)
        np.testing.assert_allclose(words, read.tokens.numpy(), atol=1e-5)
        np.testing.assert_allclose(sentence, np.asarray(read.sentence), atol=1e-5)


@pytest.mark.parametrize("side", [4, 8])
def test_pictures_of_any_size_become_regions_and_a_whole(side: int) -> None:
    torch.manual_seed(0)
    config = DamsmConfig(**{**{f: getattr(TINY, f) for f in TINY.__dataclass_fields__}, "region_side": side})
    damsm = Damsm(config).eval()
    for size in (16, 32, 50):
        look = damsm.look(torch.rand(2, 3, size, size))
        assert look.regions.shape == (2, side * side, 16)
        assert look.whole.shape == (2, 16)
    images = torch.rand(3, 3, 32, 32)
    together, alone = damsm.look(images), damsm.look(images[1:2])
    torch.testing.assert_close(together.regions[1:2], alone.regions, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.whole[1:2], alone.whole, atol=1e-5, rtol=0)


def test_regions_lie_row_by_row() -> None:
    torch.manual_seed(0)
    damsm = Damsm(TINY).eval()
    encoder = damsm.image
    assert isinstance(encoder, RegionEncoder)
    for module in encoder.stages.modules():
        if isinstance(module, nn.GroupNorm):  # norms see the whole map
            module.weight.data.zero_()
    encoder.norms = nn.ModuleList(nn.Identity() for _ in range(3))
    nn.init.zeros_(encoder.get_parameter("local.1.weight"))  # of the coarsest map
    images = torch.full((1, 3, 32, 32), 0.5)
    plain = damsm.look(images).regions
    images[:, :, 11:13, 27:29] = 1.0  # in row 1, column 3 of 4 by 4
    moved = (damsm.look(images).regions - plain).abs().sum(dim=2)[0]
    assert moved.argmax() == 1 * 4 + 3


def test_what_cannot_be_read_is_refused() -> None:
    damsm = Damsm(TINY)
    with pytest.raises(SizeError, match=r"reads pictures of shape \(B, 3, S, S\).*got \(1, 4, 32, 32\)"):
        damsm.look(torch.rand(1, 4, 32, 32))
    with pytest.raises(SizeError, match="got \\(1, 3, 32, 16\\)"):
        damsm.look(torch.rand(1, 3, 32, 16))
    with pytest.raises(ConfigError, match=r"image_encoder must be 'small' or 'inception'; got 'inceptoin'"):
        DamsmConfig(image_encoder="inceptoin")
    for fields, words in (
        ({"width": 15}, r"width must be even.*got 15"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1; got 1\.0"),
        ({"size": 60}, r"size must be a multiple of 16; got 60"),
        ({"region_side": 4}, r"region_side must be 16 or 8 where size is 64; got 4"),
        ({"widths": (8, 12, 16)}, r"widths must be multiples of 8"),
    ):
        with pytest.raises(ConfigError, match=words):
            DamsmConfig(**fields)
    with pytest.raises(ConfigError, match=r"fidelity must be 'paper' or 'code'; got 'papre'"):
        MatchSettings(fidelity="papre")
    with pytest.raises(ConfigError, match=r"gamma2 must be above 0; got 0"):
        MatchSettings(gamma2=0)


def test_the_published_numbers_are_kept() -> None:
    assert (PAPER.gamma1, PAPER.gamma2, PAPER.gamma3) == (5, 5, 10)
    code = MatchSettings.of("code")
    assert (code.gamma1, code.gamma2, code.gamma3, code.fidelity) == (4, 5, 10, "code")


def test_a_word_looks_at_the_region_that_shows_it() -> None:
    """Two words and two regions, each along an axis of its own, so that every number can be written down."""
    words = torch.eye(2)[None]
    mask = torch.ones(1, 2, dtype=torch.bool)
    share = math.e / (math.e + 1)  # softmax over words of the products 1 and 0
    sharp = math.exp(5 * share) / (math.exp(5 * share) + math.exp(5 * (1 - share)))
    context = attend(words, torch.eye(2)[None], mask, 5.0)
    expected = torch.tensor([[sharp, 1 - sharp], [1 - sharp, sharp]])
    torch.testing.assert_close(context[0, 0], expected)
    cosine = sharp / math.hypot(sharp, 1 - sharp)
    look = Look(torch.eye(2)[None], torch.zeros(1, 2))
    cond = Conditioning(tokens=words, mask=mask, sentence=torch.zeros(1, 2))
    in_paper = math.log(2 * math.exp(5 * cosine)) / 5
    assert word_scores(look, cond, PAPER).item() == pytest.approx(in_paper, abs=1e-6)
    without_root = MatchSettings(gamma1=5.0, fidelity="code")
    assert word_scores(look, cond, without_root).item() == pytest.approx(5 * in_paper, abs=1e-5)


def test_losses_of_pairs_that_share_nothing_are_known() -> None:
    """Each caption is one word along an axis of its own; each picture shows one such word in all regions."""
    size = 3
    axes = torch.eye(size)
    cond = Conditioning(tokens=axes[:, None], mask=torch.ones(size, 1, dtype=torch.bool), sentence=2.0 * axes)
    look = Look(axes[:, None].expand(-1, 4, -1), 0.5 * axes)
    everyone = torch.ones(size, size, dtype=torch.bool)
    # Every cosine is 1 for the true pair and 0 for others: the score of one word is its cosine.
    losses = damsm_losses(look, cond, PAPER, everyone)
    assert tuple(losses) == NAMES
    expected = math.log(1 + 2 * math.exp(-10))
    for loss in losses.values():
        torch.testing.assert_close(loss, torch.full((size,), expected), atol=1e-7, rtol=1e-3)
    code = damsm_losses(look, cond, MatchSettings.of("code"), everyone)
    assert code["words_to_pictures"].max() < 1e-6  # gamma2 times as sharp: log(1 + 2 exp(-50))
    torch.testing.assert_close(code["picture_to_sentence"], losses["picture_to_sentence"])
    swapped = damsm_losses(look._replace(whole=-look.whole), cond, PAPER, everyone)
    wrong = math.log(2 + math.exp(-10)) + 10
    torch.testing.assert_close(swapped["sentence_to_picture"], torch.full((size,), wrong))


def test_directions_are_not_mixed_up() -> None:
    """Two pictures fit caption 0 alike; so that caption cannot choose, but its picture can."""
    whole = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    cond = Conditioning(
        tokens=torch.eye(2)[:, None], mask=torch.ones(2, 1, dtype=torch.bool), sentence=torch.eye(2)
    )
    losses = damsm_losses(Look(whole[:, None], whole), cond, PAPER, torch.ones(2, 2, dtype=torch.bool))
    for to_picture, to_caption in (NAMES[:2], NAMES[2:]):
        assert losses[to_picture][0].item() == pytest.approx(math.log(2), abs=1e-5)
        assert losses[to_caption][0].item() == pytest.approx(math.log(1 + math.exp(-10)), abs=1e-5)
        assert losses[to_caption][1].item() == pytest.approx(10 + math.log(1 + math.exp(-10)), abs=1e-4)


@pytest.mark.parametrize("fidelity", ["paper", "code"])
def test_scores_are_those_of_a_loop_over_pairs(fidelity: str) -> None:
    settings = MatchSettings.of(fidelity)
    look, cond = pair(0, 3, 1, 5)
    scores = word_scores(look, cond, settings)
    for i, j in itertools.product(range(3), repeat=2):
        words, regions = cond.tokens[j][cond.mask[j]], look.regions[i]
        share = (words @ regions.T).softmax(dim=0)
        contexts = (settings.gamma1 * share).softmax(dim=1) @ regions
        total = (settings.gamma2 * F.cosine_similarity(contexts, words, dim=1)).exp().sum()
        expected = total.log() if fidelity == "code" else (total ** (1 / settings.gamma2)).log()
        assert scores[i, j].item() == pytest.approx(expected.item(), rel=1e-4)
        cosine = F.cosine_similarity(look.whole[i], torch.as_tensor(cond.sentence)[j], dim=0)
        assert sentence_scores(look, cond)[i, j].item() == pytest.approx(cosine.item(), abs=1e-6)


def test_padding_and_order_change_nothing() -> None:
    look, cond = pair(1, 4, 2, 3)
    rival = ~torch.eye(3, dtype=torch.bool)
    before = damsm_losses(look, cond, PAPER, rival)
    longer = Conditioning(
        tokens=torch.cat([cond.tokens, torch.full((3, 2, 8), 7.0)], dim=1).requires_grad_(),
        mask=F.pad(cond.mask, (0, 2)),
        sentence=cond.sentence,
    )
    after = damsm_losses(look, longer, PAPER, rival)
    for name in NAMES:
        torch.testing.assert_close(after[name], before[name])
    torch.stack(list(after.values())).sum().backward()
    assert longer.tokens.grad is not None
    assert longer.tokens.grad.isfinite().all()
    assert not longer.tokens.grad[~longer.mask].any()
    order = [2, 0, 1]
    shuffled = damsm_losses(*rows(look, cond, order), PAPER, rival)
    for name in NAMES:
        torch.testing.assert_close(shuffled[name], before[name][order])


def test_zero_features_have_gradients_that_are_numbers() -> None:
    look, cond = pair(2, 2, 2)
    regions = torch.zeros_like(look.regions).requires_grad_()
    losses = damsm_losses(Look(regions, look.whole), cond, PAPER, ~torch.eye(2, dtype=torch.bool))
    torch.stack(list(losses.values())).sum().backward()
    assert regions.grad is not None
    assert regions.grad.isfinite().all()


def test_what_may_be_true_is_no_rival() -> None:
    look, cond = pair(3, 2, 3, 4)
    rival = ~torch.eye(3, dtype=torch.bool)
    rival[0, 1] = rival[1, 0] = False
    losses = damsm_losses(look, cond, PAPER, rival)
    # What is left for the first is the third.
    two = damsm_losses(*rows(look, cond, [0, 2]), PAPER, ~torch.eye(2, dtype=torch.bool))
    for name in NAMES:
        torch.testing.assert_close(losses[name][0], two[name][0])
    alone = damsm_losses(look, cond, PAPER, torch.zeros(3, 3, dtype=torch.bool))
    assert all(not loss.any() for loss in alone.values())


def test_captions_that_belong_to_no_picture_make_the_choice_harder() -> None:
    look, cond = pair(4, 2, 3, 4, 2)
    few, own = rows(look, cond, [0, 1])
    rival = ~torch.eye(2, 4, dtype=torch.bool)
    with_more = damsm_losses(few, cond, PAPER, rival)
    without = damsm_losses(few, own, PAPER, rival[:, :2])
    for to_picture, to_caption in (NAMES[:2], NAMES[2:]):
        torch.testing.assert_close(with_more[to_picture], without[to_picture])
        assert (with_more[to_caption] > without[to_caption]).all()


def test_inception_has_the_published_size_and_takes_torchvisions_names(tmp_path: Path) -> None:
    with torch.device("meta"):
        net = Inception()
        local, pooled = net(torch.empty(1, 3, 299, 299))
    assert (local.shape, pooled.shape) == ((1, 768, 17, 17), (1, 2048))
    # 27,161,264 of torchvision's with the side branch (3,326,696) and the classifier (2,049,000).
    assert sum(p.numel() for p in net.parameters()) == 27_161_264 - 3_326_696 - 2_049_000
    names = set(net.state_dict())
    assert {
        "Conv2d_1a_3x3.conv.weight",
        "Mixed_5b.branch3x3dbl_3.bn.running_var",
        "Mixed_6e.branch7x7dbl_5.conv.weight",
        "Mixed_7c.branch3x3dbl_3b.bn.bias",
    } <= names
    assert net.get_parameter("Mixed_6b.branch7x7_2.conv.weight").shape == (128, 128, 1, 7)
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="does not hold the weights of torchvision's inception_v3"):
        net.load(tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="should hold the weights of Inception-v3"):
        net.load(tmp_path / "none.safetensors")


def test_the_frozen_picture_encoder_keeps_its_statistics() -> None:
    with torch.device("meta"):
        damsm = Damsm(DamsmConfig(image_encoder="inception", width=32))
    damsm.train()
    assert isinstance(damsm.image, InceptionEncoder)
    assert not any(module.training for module in damsm.image.net.modules())
    assert {n for n, p in damsm.image.named_parameters() if p.requires_grad} == {
        "local.weight",
        "whole.weight",
        "whole.bias",
    }
    look = damsm.look(torch.empty(2, 3, 299, 299, device="meta"))
    assert (look.regions.shape, look.whole.shape) == ((2, 289, 32), (2, 32))
