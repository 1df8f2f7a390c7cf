"""How a person walks through the shop in one visit.

A visit is a run of steps with log-normal pauses. People look, search and filter (which no funnel counts), go back, look
at the same thing twice, come in by a deep link past the home page, find an old cart restored, give up at any stage, and
reload the thank-you page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from streams.traffic.catalogue import Item, Order, Step, order_of, pick
from streams.traffic.people import Visit

#: Says whether a fault takes this step from the visitor: (visit, event name, event time in ms, a number in [0, 1)).
Loses = Callable[[Visit, str, int, float], bool]

LONGEST_PAUSE_MS = 20 * 60_000
IDLE_EVENTS = ("scroll", "scroll", "search", "filter", "view_item_list", "select_item", "video_start")


class Walk:
    """One visit of a person. Iterate `steps()` once; then `order`, `cart`, `asked` (is a lead) say what came of it."""

    def __init__(self, visit: Visit, rng: Random, loses: Loses) -> None:
        self.visit = visit
        self.order: Order | None = None
        self.asked = False
        self.cart: list[Item] = [pick(rng)] if visit.cart else []
        self._rng = rng
        self._loses = loses
        self._now = visit.start_ms

    def steps(self) -> Iterator[Step]:
        """The visit's steps in the order of their event time."""
        if self.visit.visitor.purpose == "lead" and not self.visit.cart:
            yield from self._enquire()
            return
        yield from self._land()
        if self.visit.visitor.purpose == "newsletter" and self.visit.ordinal == 1:
            yield from self._subscribe()
        if not self.cart:
            yield from self._browse()
        if self.cart:
            yield from self._check_out()

    @property
    def ended_ms(self) -> int:
        """The time of the last step so far (or of the last pause)."""
        return self._now

    def _pause(self, median_s: float, spread: float = 0.8) -> None:
        ms = int(self._rng.lognormvariate(0.0, spread) * median_s * 1000)
        self._now += min(max(ms, 700), LONGEST_PAUSE_MS)

    def _step(self, name: str, page: str, item: Item | None = None) -> Step:
        return Step(self._now, name, page, item)

    def _goes_on(self, stage: str, chance: float) -> bool:
        """Whether the visitor does `stage` now. Both numbers are always drawn, so that a fault changes nothing else."""
        wants, luck = self._rng.random() < chance, self._rng.random()
        return wants and not self._loses(self.visit, stage, self._now, luck)

    def _costly(self, chance: float) -> float:
        return min(chance * self.visit.appetite, 0.97)

    def _land(self) -> Iterator[Step]:
        """The first pages. One in five comes by a deep link; one app visit in twenty states no page view before it."""
        way = self._rng.random()
        if self.visit.cart:
            yield self._step("session_start", "/cart")
            self._pause(4)
            yield self._step("page_view", "/cart")
        elif way < 0.95:
            page = "/" if way < 0.5 else f"/c/{pick(self._rng).category}" if way < 0.75 else f"/p/{pick(self._rng).sku}"
            yield self._step("session_start", page)
            self._pause(1, 0.3)
            yield self._step("page_view", page)

    def _idle(self, most: int, page: str) -> Iterator[Step]:
        """Up to `most` events that match no stage."""
        for _ in range(self._rng.randint(0, most)):
            self._pause(9)
            yield self._step(self._rng.choice(IDLE_EVENTS), page)

    def _browse(self) -> Iterator[Step]:
        """Looks at items until one or a few are in the cart, or the visitor has seen enough."""
        yield from self._idle(3, "/")
        chance, seen = 0.68, pick(self._rng)
        for _ in range(7):
            self._pause(18)
            if not self._goes_on("view_item", chance):
                return
            item = seen if self._rng.random() < 0.15 else pick(self._rng)  # back to an item seen before
            seen = item
            yield self._step("view_item", f"/p/{item.sku}", item)
            yield from self._idle(2, f"/p/{item.sku}")
            self._pause(32, 0.9)
            if self._goes_on("add_to_cart", self._costly(0.12)):
                self.cart.append(item)
                yield self._step("add_to_cart", f"/p/{item.sku}", item)
                if self._rng.random() < 0.7:
                    return
            elif self._rng.random() < 0.12:
                self._pause(10)
                yield self._step("page_view", f"/c/{item.category}")
            chance = 0.8 if self.cart else 0.62

    def _check_out(self) -> Iterator[Step]:
        yield from self._doubt()
        self._pause(45, 0.9)
        if not self._goes_on("begin_checkout", self._costly(0.68)):
            return
        yield self._step("begin_checkout", "/checkout")
        if self._rng.random() < 0.1:
            yield from self._doubt()
            self._pause(30)
            yield self._step("begin_checkout", "/checkout")
        self._pause(50)
        if self._goes_on("add_shipping_info", 0.9):
            yield self._step("add_shipping_info", "/checkout/address")
            self._pause(40)
        if self._goes_on("add_payment_info", 0.86):
            yield self._step("add_payment_info", "/checkout/payment")
            self._pause(35)
        elif self._rng.random() < 0.75:  # the others pay by a stored card or a wallet: the step is skipped
            return
        if self._goes_on("purchase", self._costly(0.84)):
            yield from self._buy()

    def _doubt(self) -> Iterator[Step]:
        """A quarter goes back to look at the item again, and some of those put another one into the cart."""
        if not self.cart or self._rng.random() > 0.25:
            return
        item = self.cart[-1]
        self._pause(25)
        yield self._step("view_item", f"/p/{item.sku}", item)
        if self._rng.random() < 0.3:
            self._pause(15)
            self.cart.append(item)
            yield self._step("add_to_cart", f"/p/{item.sku}", item)

    def _buy(self) -> Iterator[Step]:
        visitor = self.visit.visitor
        self.order = order_of(visitor.number, self.visit.ordinal, self.cart, visitor.country.currency)
        yield Step(self._now, "purchase", "/checkout/thank-you", None, self.order, server=self._rng.random() < 0.5)
        self.cart = []
        for _ in range(2):
            if self._rng.random() > 0.07:
                return
            self._pause(90, 1.0)
            yield Step(self._now, "purchase", "/checkout/thank-you", None, self.order)

    def _subscribe(self) -> Iterator[Step]:
        self._pause(12)
        if not self._goes_on("newsletter_view", 0.9):
            return
        yield self._step("newsletter_view", "/newsletter")
        self._pause(20)
        if not self._goes_on("newsletter_signup", 0.55):
            return
        yield self._step("newsletter_signup", "/newsletter")
        self._pause(150, 1.0)
        if self._goes_on("newsletter_confirm", 0.7):
            yield self._step("newsletter_confirm", "/newsletter/confirmed")

    def _enquire(self) -> Iterator[Step]:
        yield self._step("session_start", "/business")
        self._pause(1, 0.3)
        yield self._step("page_view", "/business")
        yield from self._idle(4, "/business")
        self._pause(40)
        if not self._goes_on("form_start", 0.35):
            return
        yield self._step("form_start", "/business/contact")
        self._pause(80)
        if not self._goes_on("form_submit", 0.6):
            return
        yield self._step("form_submit", "/business/contact")
        self._pause(1, 0.3)
        if self._goes_on("generate_lead", 0.93):
            self.asked = True
            yield self._step("generate_lead", "/business/thanks")


def crawl(visit: Visit, rng: Random) -> Iterator[Step]:
    """A crawler: page after page, quicker than people, never a cart."""
    now = visit.start_ms
    for _ in range(rng.randint(5, 40)):
        item = pick(rng)
        if rng.random() < 0.3:
            yield Step(now, "page_view", f"/c/{item.category}")
        else:
            yield Step(now, "view_item", f"/p/{item.sku}", item)
        now += rng.randint(300, 4000)
