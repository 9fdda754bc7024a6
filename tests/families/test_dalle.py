"""DALL-E's transformer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pictura.core.errors import ConfigError
from pictura.families.dalle.cache import TokenCache
from pictura.families.dalle.model import DalleConfig, DalleTransformer
from pictura.families.dalle.presets import PRESETS, get_preset
from pictura.sample.token_masks import KINDS
from pictura.sample.token_memory import TokenMemory
from tests.token_definitions import allowed

CONFIG = DalleConfig(
    vocab_size=11,
    num_codes=7,
    max_tokens=5,
    rows=4,
    cols=3,  # rows and columns differ on purpose
    width=16,
    num_blocks=6,  # row, column, row, row, row, conv
    num_heads=2,
)


def make(config: DalleConfig = CONFIG, *, std: float = 0.3) -> DalleTransformer:
    torch.manual_seed(0)
    model = DalleTransformer(config).requires_grad_(False)
    for weight in model.parameters():
        nn.init.normal_(weight, std=std)  # those that start at zero or one would hide mistakes
    return model


def one_block(kind: str) -> DalleTransformer:
    model = make(
        DalleConfig(
            vocab_size=11, num_codes=7, max_tokens=4, rows=4, cols=5, width=16, num_blocks=1, num_heads=2
        )
    )
    model.kinds = [KINDS.index(kind)]
    return model


def draw(config: DalleConfig, lengths: tuple[int, ...] = (1, 3, 5)) -> tuple[Tensor, Tensor, Tensor]:
    """Captions of some lengths, and codes."""
    torch.manual_seed(1)
    size = len(lengths)
    ids = torch.randint(config.vocab_size, (size, config.max_tokens))
    mask = torch.arange(config.max_tokens) < torch.tensor(lengths)[:, None]
    return ids, mask, torch.randint(config.num_codes, (size, config.length))


def test_every_text_token_but_the_first_and_every_code_have_logits() -> None:
    logits = make()(*draw(CONFIG))
    assert logits.text.shape == (3, 4, 11)
    assert logits.image.shape == (3, 12, 7)


def seen_by_definition(kind: str, num_prefix: int, rows: int, cols: int) -> np.ndarray:
    """(S - 1, S - 1): the prefix sees what stands before, image tokens the prefix and by their mask."""
    places = [(r, c) for r in range(rows) for c in range(cols)][:-1]
    size = num_prefix + len(places)
    seen = np.zeros((size, size), dtype=bool)
    for query in range(size):
        for key in range(size):
            if key < num_prefix:
                seen[query, key] = key <= query
            elif query >= num_prefix:
                there = places[query - num_prefix], places[key - num_prefix]
                seen[query, key] = allowed(kind, *there, cols, 3)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_reaches_just_the_logits_that_the_mask_allows(kind: str) -> None:
    model = one_block(kind)
    config = model.config
    streams: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        streams.append(args[0].detach().requires_grad_())
        return (streams[0], *args[1:])

    model.blocks[0].register_forward_pre_hook(keep)
    logits = model(*draw(config, (3,)))
    seen = seen_by_definition(kind, config.num_prefix, config.rows, config.cols)
    given_by = [*range(config.max_tokens - 1), *range(config.max_tokens, len(seen))]
    outputs = [*logits.text[0], *logits.image[0]]
    assert len(outputs) == len(given_by)
    for place, output in zip(given_by, outputs, strict=True):
        slopes = [torch.autograd.grad(one, streams[0], retain_graph=True)[0][0] for one in output]
        reached = torch.stack(slopes).abs().sum(dim=(0, 2)) > 0
        np.testing.assert_array_equal(reached, seen[place], err_msg=f"logits given by place {place}")


@pytest.mark.parametrize("kind", KINDS)
def test_another_code_changes_just_the_logits_after_it_that_the_mask_allows(kind: str) -> None:
    model = one_block(kind)
    config = model.config
    ids, mask, codes = draw(config, (4,))
    before = model(ids, mask, codes)
    seen = seen_by_definition(kind, config.num_prefix, config.rows, config.cols)
    for k in range(config.length):
        other = codes.clone()
        other[0, k] = (codes[0, k] + 1) % config.num_codes
        after = model(ids, mask, other)
        assert torch.equal(after.text, before.text)
        changed = (after.image != before.image).any(dim=-1)[0].numpy()
        # Code j is said at start-of-image for j = 0, else where code j - 1 is read; the last is never read.
        read = k < config.length - 1
        expected = [
            read and j > 0 and seen[config.num_prefix + j - 1, config.num_prefix + k]
            for j in range(config.length)
        ]
        assert changed.tolist() == expected


def test_pad_embeddings_stand_where_no_token_is_and_nowhere_else() -> None:
    model, (ids, mask, codes) = make(), draw(CONFIG)
    before = model(ids, mask, codes)
    other_ids = torch.where(mask, ids, (ids + 1) % CONFIG.vocab_size)
    assert torch.equal(model(other_ids, mask, codes).image, before.image)
    for place in range(CONFIG.max_tokens):
        model.pad_embedding.weight[place].neg_()
        changed = (model(ids, mask, codes).image != before.image).flatten(1).any(dim=1)
        assert torch.equal(changed, ~mask[:, place])
        model.pad_embedding.weight[place].neg_()


def test_words_and_their_places_and_rows_and_columns_all_matter() -> None:
    model, (ids, mask, codes) = make(), draw(CONFIG, (5, 5, 5))
    before = model(ids, mask, codes).image
    assert (model(ids.flip(1), mask, codes).image - before).abs().max() > 1e-3
    for table in (model.text_position, model.row_embedding, model.column_embedding):
        table.weight.copy_(table.weight.flip(0))
        assert (model(ids, mask, codes).image - before).abs().max() > 1e-3
        table.weight.copy_(table.weight.flip(0))
    model.image_start.neg_()
    assert (model(ids, mask, codes).image - before).abs().max() > 1e-3


def test_decoding_with_a_cache_gives_what_one_pass_gives() -> None:
    model, (ids, mask, codes) = make(), draw(CONFIG)
    whole = model(ids, mask, codes).image
    cache = TokenCache(model, ids, mask)
    logits = [cache.logits, *(cache.step(codes[:, k], k) for k in range(CONFIG.length - 1))]
    torch.testing.assert_close(torch.stack(logits, dim=1), whole, atol=1e-5, rtol=1e-5)


def test_one_caption_can_be_continued_into_several_pictures() -> None:
    model, (ids, mask, codes) = make(), draw(CONFIG)
    whole = model(ids[1:2].expand(3, -1), mask[1:2].expand(3, -1), codes).image
    cache = TokenCache(model, ids[1:2], mask[1:2], num=3)
    logits = [cache.logits, *(cache.step(codes[:, k], k) for k in range(CONFIG.length - 1))]
    torch.testing.assert_close(torch.stack(logits, dim=1), whole, atol=1e-5, rtol=1e-5)


def test_a_step_takes_its_index_as_a_number_or_as_a_tensor() -> None:
    model, (ids, mask, codes) = make(), draw(CONFIG)
    _, keys, values = model.prefill(ids, mask)
    assert keys.shape == values.shape == (6, 3, 2, 6, 8)
    plan = CONFIG.memory_plan()
    memory = TokenMemory(plan, keys, values, num=3, zeros=torch.zeros)
    allowed = [torch.tensor(one[0]) for one in plan.allowed()]
    indices: tuple[int | Tensor, ...] = (0, torch.tensor(0), torch.tensor([0]))
    steps = [model.step(codes[:, 0], index, allowed, memory.keys, memory.values) for index in indices]
    for other in steps[1:]:
        assert all(torch.equal(a, b) for a, b in zip(steps[0], other, strict=True))
    logits, key, value = steps[0]
    assert logits.shape == (3, 7)
    assert key.shape == value.shape == (3, 2, 6, 8)


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    model, given = make(), draw(CONFIG)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    again = DalleTransformer(CONFIG)
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(again(*given).image, model(*given).image)


def test_codes_of_another_grid_and_captions_of_another_length_are_refused() -> None:
    model, (ids, mask, codes) = make(), draw(CONFIG)
    with pytest.raises(ConfigError, match=r"4 x 3 = 12 codes for this network; got 11\."):
        model(ids, mask, codes[:, 1:])
    with pytest.raises(ConfigError, match=r"has 5 text positions; got 4\."):
        model(ids[:, 1:], mask[:, 1:], codes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 10, "num_heads": 4}, r"multiple of num_heads; got width=10, num_heads=4"),
        ({"conv_kernel": 4}, r"conv_kernel must be odd and positive; got 4"),
        ({"rows": 0}, r"rows must be at least 1; got 0"),
    ],
)
def test_impossible_shapes_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DalleConfig(vocab_size=3, num_codes=3, **fields)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'smol'\. Did you mean 'smoke' or 'small'"):
        get_preset("smol")


def count(name: str, vocab_size: int, num_codes: int) -> dict[str, int]:
    """Parameters of a preset, of its blocks and in all."""
    with torch.device("meta"):
        model = DalleTransformer(DalleConfig(**get_preset(name), vocab_size=vocab_size, num_codes=num_codes))
    sizes = {key: weight.numel() for key, weight in model.named_parameters()}
    return {
        "blocks": sum(size for key, size in sizes.items() if key.startswith("blocks.")),
        "all": sum(sizes.values()),
    }


def test_the_papers_network_has_12_billion_weights() -> None:
    found = count("paper", 16_384, 8_192)
    assert found["blocks"] == pytest.approx(12.1e9, rel=0.01)
    assert found["all"] == 12_292_836_992
    assert PRESETS["paper"]["width"] // PRESETS["paper"]["num_heads"] == 64


@pytest.mark.parametrize(
    ("name", "num_codes", "millions"),
    [("smoke", 256, 1.40), ("small", 1024, 7.91), ("medium", 2048, 24.5), ("large", 8192, 48.4)],
)
def test_presets_have_the_size_that_their_page_says(name: str, num_codes: int, millions: float) -> None:
    assert count(name, 2048, num_codes)["all"] / 1e6 == pytest.approx(millions, rel=0.005)
