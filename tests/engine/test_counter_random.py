"""The generator of all random draws."""

import pytest
import torch

from lampbench.engine.counter_random import child_keys, kept, random_words, uniform_numbers

UNSIGNED = 2**64


def test_published_numbers_of_splitmix64():
    """Those of seed 1234567 are on Rosetta Code, those of 0 in tests of other implementations."""
    expected = {
        1234567: [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423,
            4593380528125082431,
            16408922859458223821,
        ],
        0: [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC],
    }
    for seed, numbers in expected.items():
        found = random_words(torch.tensor(seed), len(numbers))
        assert [int(one) % UNSIGNED for one in found] == numbers


def test_a_childs_key_is_a_number_of_its_parent():
    keys = torch.tensor([3, 5, 8])
    assert torch.equal(child_keys(keys.unsqueeze(-1), torch.arange(7)), random_words(keys, 7))
    assert torch.equal(child_keys(keys, 4), random_words(keys, 7)[:, 4])


def test_the_numbers_are_the_same_on_every_device(engine_device):
    """Numbers of a CPU's tensor may be drawn from with keys on a GPU."""
    keys, numbers = torch.tensor([3, 5, 8]), torch.arange(3)
    there = keys.to(engine_device)
    for each in (numbers, numbers.to(engine_device), 4, torch.tensor(4)):
        of_keys = each.cpu() if isinstance(each, torch.Tensor) else each
        assert torch.equal(child_keys(there, each).cpu(), child_keys(keys, of_keys))
    for draw in (random_words, uniform_numbers, lambda k, n: kept(k, n, 0.3)):
        assert torch.equal(draw(there, 70).cpu(), draw(keys, 70))


def test_a_rows_numbers_do_not_depend_on_the_other_rows_or_the_width():
    keys = child_keys(torch.tensor(1), torch.arange(20))
    for draw in (random_words, uniform_numbers, lambda k, n: kept(k, n, 0.3)):
        alone = draw(keys[4:5], 9)
        assert torch.equal(draw(keys, 9)[4:5], alone)
        assert torch.equal(draw(keys, 30)[4:5, :9], alone)
        assert not torch.equal(draw(keys, 50)[4], draw(keys, 50)[5])


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 0.999])
def test_zeros_have_their_rate(rate):
    mask = kept(child_keys(torch.tensor(7), torch.arange(1000)), 1001, rate)
    assert mask.shape == (1000, 1001)
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert mask.mean().item() == pytest.approx(1 - rate, abs=2e-3)
    spread = mask.mean(0).std().item()  # of the columns' means
    assert spread == pytest.approx((rate * (1 - rate) / 1000) ** 0.5, rel=0.2)


def test_a_mask_is_a_comparison_of_16_bits():
    keys = child_keys(torch.tensor(2), torch.arange(300))
    bits = random_words(keys, 250).view(torch.int16).int() + 2**15
    for rate in (0.05, 0.5):
        assert torch.equal(kept(keys, 1000, rate) > 0, bits >= round(rate * 2**16))


def test_neighbouring_keys_columns_and_layers_are_not_correlated():
    layers = child_keys(torch.tensor(11), torch.arange(4))
    numbers = uniform_numbers(child_keys(layers.unsqueeze(-1), torch.arange(500)), 64) - 0.5
    size = (1 / 12) * numbers[1:].numel() ** -0.5  # of the mean of products of independent numbers
    shifts = (numbers[1:] * numbers[:-1]), (numbers[:, 1:] * numbers[:, :-1])
    for products in (*shifts, numbers[..., 1:] * numbers[..., :-1]):
        assert abs(products.mean().item()) < 5 * size


def test_uniform_numbers_are_inside_zero_and_one_and_evenly_spread():
    numbers = uniform_numbers(child_keys(torch.tensor(5), torch.arange(1000)), 1000)
    assert 0 < numbers.min() < 1e-5 and 1 - 1e-5 < numbers.max() < 1
    counts = torch.histc(numbers, 100, 0, 1)
    assert ((counts - 10_000) ** 2 / 10_000).sum().item() < 150  # chi-squared, 99 degrees: p = 7e-4
