"""One user at a time, with peft and transformers alone: what the many-user engine is held against.

Nothing here is batched, padded, cached or merged, and of lampbench only the schedule is used: which
example comes when, and at what rate.
"""

import torch

from lampbench.engine.training_schedule import batch_of, rate, steps_of
from lampbench.util.hashing import seed_from


class Alone:
    """A model of one's own, with adapters that PEFT loads when a stack first names them."""

    def __init__(self, model):
        self._bare = model
        self._model = None
        self._names = {}

    def logits(self, stack, ids):
        """Logits [tokens, vocabulary] in double precision; a stack's adapters are all active."""
        tokens = torch.tensor([ids])
        with torch.no_grad():
            if not stack:
                if self._model is None:
                    return self._bare(tokens, use_cache=False).logits[0].double()
                with self._model.disable_adapter():
                    return self._model(tokens, use_cache=False).logits[0].double()
            self._activate(stack)
            return self._model(tokens, use_cache=False).logits[0].double()

    def _activate(self, stack):
        from peft import PeftModel

        for path in stack:
            if path not in self._names:
                self._names[path] = name = f"adapter{len(self._names)}"
                if self._model is None:
                    self._model = PeftModel.from_pretrained(self._bare, str(path), name).eval()
                else:
                    self._model.load_adapter(str(path), name)
        self._model.base_model.set_adapter([self._names[path] for path in stack])

    def answer(self, weights, spec, ids, stop, seed=0):
        """New tokens, each from the whole sequence so far, in the terms of equations 1 to 3."""
        ids, begin = list(ids), len(ids)
        random = torch.Generator().manual_seed(seed)
        for _ in range(spec.max_new_tokens):
            seen = torch.tensor(sorted(set(ids)))
            logits = self.logits(weights, ids)[-1]
            if spec.penalty_on == "logits":
                logits = _penalised(logits, seen, spec.repetition_penalty)
            scores = logits.log_softmax(-1)
            if contrast := spec.contrast:
                p_user = scores.exp()
                p_base = self.logits(contrast.against, ids)[-1].softmax(-1)
                scores = (p_user / p_base**contrast.alpha).log()
                scores[p_user < contrast.tau * p_user.max()] = -torch.inf
            if spec.penalty_on == "scores":
                scores = _penalised(scores, seen, spec.repetition_penalty)
            if spec.sampling:
                scores = _first(scores, spec.sampling, random)
            token = int(scores.argmax())
            if token in stop:
                break
            ids.append(token)
        return tuple(ids[begin:])

    def logprobs(self, weights, prompt, response):
        """Of each token of a response."""
        logs = self.logits(weights, [*prompt, *response]).log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) + len(response) - 1)
        return [float(logs[p, token]) for p, token in zip(places, response, strict=True)]


def by_peft(engine, oracle, requests):
    """The tokens of every answer, one user at a time."""
    found = {}
    for r in requests:
        ids = engine._encoder.prompt("q", r.prompt, engine._encoder.context - 20).ids
        for sample in range(r.samples):
            seed = seed_from(r.seed, sample)
            found[r.id, sample] = oracle.answer(r.weights, r.spec, ids, engine._stop, seed)
    return found


def _penalised(scores, seen, penalty):
    worse = torch.where(scores[seen] < 0, scores[seen] * penalty, scores[seen] / penalty)
    return scores.scatter(0, seen, worse)


def _first(scores, sampling, random):
    """Highest where a token of the nucleus rings first; its clock runs at its probability."""
    mass = (scores / sampling.temperature).softmax(-1)
    ordered, tokens = mass.sort(descending=True)
    kept = tokens[ordered.cumsum(0) - ordered < sampling.top_p]
    rings = -torch.empty(len(mass)).uniform_(generator=random).double().log() / mass
    return torch.full_like(mass, -torch.inf).scatter(0, kept, -rings[kept])


def trained(model, start, job, pairs):
    """Losses, and the adapter by its names on disk, after a plain training loop from `start`.

    `model` has what is frozen merged into it; it is also the reference of a DPO. `pairs` are the
    encoded examples (prompt, responses).
    """
    from peft import PeftModel, get_peft_model_state_dict

    policy = PeftModel.from_pretrained(model, str(start), is_trainable=True)
    learning = [weight for weight in policy.parameters() if weight.requires_grad]
    spec = job.optim
    optimizer = torch.optim.AdamW(learning, lr=1.0, weight_decay=spec.weight_decay)
    losses, steps = [], steps_of(spec, len(pairs))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate(spec, step, steps)
        batch = [pairs[i] for i in batch_of(spec, len(pairs), job.seed, step)]
        loss = _preference(policy, batch, job.dpo.beta) if job.dpo else _mean(policy, batch)
        loss.backward()
        if spec.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(learning, spec.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses, get_peft_model_state_dict(policy)


def _logs(model, prompt, response):
    logits = model(torch.tensor([[*prompt, *response]]), use_cache=False).logits[0]
    logs = logits[len(prompt) - 1 : -1].log_softmax(-1)
    return logs.gather(1, torch.tensor(response).unsqueeze(1)).squeeze(1)


def _mean(policy, batch):
    return -torch.cat([_logs(policy, prompt, response) for prompt, (response,) in batch]).mean()


def _preference(policy, batch, beta):
    losses = []
    for prompt, responses in batch:
        chosen, rejected = (_logs(policy, prompt, response).sum() for response in responses)
        with torch.no_grad(), policy.disable_adapter():
            first, second = (_logs(policy, prompt, response).sum() for response in responses)
        losses.append(-((chosen - first - rejected + second) * beta).sigmoid().log())
    return torch.stack(losses).mean()
