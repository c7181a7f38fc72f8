// One whole life through the official SDK: discover, book, stream, place, partly fill, amend, decrease, cancel,
// batches, order group, fill, position, settlement, balance. Prints what each step answered; the test judges it.
import { randomUUID } from "node:crypto";
import { admin, clients, eventually, refusal, say, stage } from "./sdk.mjs";
import { openSocket, unsignedUpgrade } from "./socket.mjs";

const key = stage.kalshi_keys[0];
const apis = clients(key);
const { ExchangeApi, MarketApi, EventsApi, OrdersApi, OrderGroupsApi, PortfolioApi } = apis;
const ticker = "KXRAIN-1-A";

/** A limit order on YES in the sandbox's own market. */
function limit(side, price, count, more = {}) {
  return {
    ticker, side, price, count, time_in_force: "good_till_canceled", self_trade_prevention_type: "taker_at_cross",
    client_order_id: randomUUID(), ...more,
  };
}

/** A maker of the house, who stands for everybody else. */
function house(side, price_e4, contracts, isImmediate = false) {
  const order = { venue: "kalshi", market_id: ticker, side, price_e4, size_e6: contracts * 1_000_000 };
  return admin("POST", "/orders", { ...order, is_immediate: isImmediate });
}

async function refused(promise) {
  try {
    return { status: (await promise).status };
  } catch (error) {
    return refusal(error);
  }
}

/** The order once reads have caught up with writes. */
function orderThat(id, fits) {
  return eventually(`order ${id} as wanted`, async () => {
    const { data } = await OrdersApi.getOrder(id).catch((error) => ({ data: {}, ...refusal(error) }));
    return data.order && fits(data.order) && data.order;
  });
}

async function discover() {
  say({ step: "status", ...(await ExchangeApi.getExchangeStatus()).data });
  say({ step: "schedule", ...(await ExchangeApi.getExchangeSchedule()).data.schedule });
  const series = (await MarketApi.getSeriesList()).data.series.map((one) => one.ticker);
  say({ step: "series", tickers: series, one: (await MarketApi.getSeries("KXRAIN")).data.series });
  const events = [];
  let cursor;
  do {
    const page = (await EventsApi.getEvents(2, cursor)).data;
    events.push(...page.events.map((event) => event.event_ticker));
    cursor = page.cursor;
  } while (cursor);
  say({ step: "events", tickers: events });
  const listed = (await MarketApi.getMarkets(100, undefined, "KXRAIN-1", undefined)).data.markets;
  say({ step: "markets", tickers: listed.map((market) => market.ticker) });
  say({ step: "market", ...(await MarketApi.getMarket(ticker)).data.market });
  say({ step: "unknown market", ...(await refused(MarketApi.getMarket("KXNONE-1"))) });
}

/** The house's orders are the whole book: bid 0.40 x 100, ask 0.60 x 100. */
async function setBook() {
  await house("bid", 4_000, 100);
  await house("ask", 6_000, 100);
}

async function stream(socket) {
  const channels = ["orderbook_delta", "trade", "fill", "user_orders", "market_positions"];
  const answers = await socket.command("subscribe", { channels, market_tickers: [ticker], use_yes_price: true }, 5);
  await socket.command("subscribe", { channels: ["market_lifecycle_v2"] });
  const snapshot = await socket.frame("orderbook_snapshot");
  const book = (await MarketApi.getMarketOrderbook(ticker)).data.orderbook_fp;
  const books = (await MarketApi.getMarketOrderbooks([ticker, "KXRAIN-1-B"])).data.orderbooks;
  say({
    step: "stream", answers: answers.map((frame) => [frame.type, frame.msg.channel]), snapshot, book,
    batch: books.map((one) => one.ticker), unsigned_upgrade: await unsignedUpgrade(),
  });
}

async function placeAndChange(socket) {
  const order = limit("bid", "0.4500", "10.00");
  const placed = (await OrdersApi.createOrderV2(order)).data;
  const id = placed.order_id;
  const own = await socket.frame("orderbook_delta", (msg) => msg.client_order_id === order.client_order_id);
  const resting = await socket.frame("user_order", (msg) => msg.order_id === id && msg.status === "resting");
  const twin = await refused(OrdersApi.createOrderV2(order));
  say({ step: "place", placed, own: own.msg, resting: resting.msg, again: twin });

  await house("ask", 4_500, 4, true);
  const fill = await socket.frame("fill", (msg) => msg.order_id === id);
  const trade = await socket.frame("trade", (msg) => msg.trade_id === fill.msg.trade_id);
  const position = await socket.frame("market_position", (msg) => msg.market_ticker === ticker);
  const partly = await orderThat(id, (found) => found.fill_count_fp === "4.00");
  say({ step: "partial fill", fill: fill.msg, trade: trade.msg, position: position.msg, order: partly });

  const queue = (await OrdersApi.getOrderQueuePosition(id)).data;
  const amended = (await OrdersApi.amendOrderV2(id, { ticker, side: "bid", price: "0.4600", count: "12.00" })).data;
  const after = await orderThat(id, (found) => found.yes_price_dollars === "0.4600");
  say({ step: "amend", queue, amended, order: after });

  const decreased = (await OrdersApi.decreaseOrderV2(id, { reduce_to: "3.00", market_ticker: ticker })).data;
  say({ step: "decrease", decreased, order: await orderThat(id, (found) => found.remaining_count_fp === "3.00") });

  const cancelled = (await OrdersApi.cancelOrderV2(id, undefined, undefined, ticker)).data;
  const order_after = await orderThat(id, (found) => found.status === "canceled");
  const again = await refused(OrdersApi.cancelOrderV2(id, undefined, undefined, ticker));
  say({ step: "cancel", cancelled, order: order_after, again });
}

async function refusals() {
  const outcomes = {
    "off grid": limit("bid", "0.4550", "1.00"),
    "post only cross": limit("bid", "0.6500", "1.00", { post_only: true }),
    "fill or kill": limit("bid", "0.6000", "500.00", { time_in_force: "fill_or_kill" }),
    "too dear": limit("bid", "0.5900", "50000.00"),
    "wrong shard": limit("bid", "0.4500", "1.00", { exchange_index: 2 }),
    "number": { ...limit("bid", "0.4500", "1.00"), count: 1 },
    "unknown market": { ...limit("bid", "0.4500", "1.00"), ticker: "KXNONE-1" },
  };
  for (const [name, order] of Object.entries(outcomes)) {
    say({ step: "refused", name, ...(await refused(OrdersApi.createOrderV2(order))) });
  }
}

async function batches() {
  const orders = [limit("bid", "0.3000", "5.00"), limit("bid", "0.3100", "5.00"), limit("bid", "0.3150", "5.00")];
  const created = (await OrdersApi.batchCreateOrdersV2({ orders })).data.orders;
  const cancels = created.filter((one) => !one.error).map((one) => ({ order_id: one.order_id, market_ticker: ticker }));
  const unknown = { order_id: randomUUID(), market_ticker: ticker };
  const cancelled = (await OrdersApi.batchCancelOrdersV2({ orders: [...cancels, unknown] })).data.orders;
  say({ step: "batches", created, cancelled });
}

async function group() {
  const made = (await OrderGroupsApi.createOrderGroup({ contracts_limit: 50 })).data;
  const id = made.order_group_id;
  const member = (await OrdersApi.createOrderV2(limit("bid", "0.3000", "5.00", { order_group_id: id }))).data;
  await orderThat(member.order_id, (order) => order.status === "resting");
  const before = (await OrderGroupsApi.getOrderGroup(id)).data;
  await OrderGroupsApi.updateOrderGroupLimit(id, { contracts_limit: 40 });
  await OrderGroupsApi.triggerOrderGroup(id);
  const triggered = await orderThat(member.order_id, (order) => order.status === "canceled");
  const closed = await refused(OrdersApi.createOrderV2(limit("bid", "0.3000", "5.00", { order_group_id: id })));
  await OrderGroupsApi.resetOrderGroup(id);
  const open = await refused(OrdersApi.createOrderV2(limit("bid", "0.3000", "5.00", { order_group_id: id })));
  const deleted = (await OrderGroupsApi.deleteOrderGroup(id)).status;
  const left = await eventually("an end of the group", async () => {
    const { order_groups } = (await OrderGroupsApi.getOrderGroups()).data;
    return !order_groups?.length && [];
  });
  say({ step: "group", made, member: member.order_id, before, triggered, closed, open, deleted, left });
}

/** An order needs its cash on the market's own shard: refused, money moved there, accepted. */
async function shards() {
  const order = { ...limit("bid", "0.5000", "500.00"), ticker: "KXCOIN-1-A" };
  // Without an allocation nothing moves the cash by itself.
  await PortfolioApi.setTargetBalanceAllocation({ allocations: [] });
  const { exchange_index } = (await MarketApi.getMarket(order.ticker)).data.market;
  const poor = await refused(OrdersApi.createOrderV2(order));
  const transfer = {
    source: "event_contract", destination: "event_contract", amount: 1_000_000,
    source_exchange_shard: 0, destination_exchange_shard: exchange_index,
  };
  const moved = (await PortfolioApi.intraExchangeInstanceTransfer(transfer)).data;
  const rich = (await OrdersApi.createOrderV2({ ...order, client_order_id: randomUUID() })).data;
  const cancelled = (await OrdersApi.cancelOrderV2(rich.order_id, undefined, undefined, order.ticker)).data;
  await orderThat(rich.order_id, (found) => found.status === "canceled");
  const balance = (await PortfolioApi.getBalance()).data;
  say({ step: "shards", exchange_index, poor, moved, rich, cancelled, balance });
}

/** What a client meets that is not the order's fault: strange keys, a pause, limits. */
async function states() {
  const told = {};
  told["unknown key"] = await refused(clients({ ...key, key_id: "nobody" }).PortfolioApi.getBalance());
  const stranger = { ...key, private_key_pem: stage.kalshi_keys[1].private_key_pem };
  told["another's signature"] = await refused(clients(stranger).PortfolioApi.getBalance());
  const resting = (await OrdersApi.createOrderV2(limit("bid", "0.3000", "5.00"))).data;
  await admin("POST", "/mode", { venue: "kalshi", mode: "trading_paused" });
  told.paused = await refused(OrdersApi.createOrderV2(limit("bid", "0.3000", "5.00")));
  const status = (await ExchangeApi.getExchangeStatus()).data;
  const cancelled = (await OrdersApi.cancelOrderV2(resting.order_id, undefined, undefined, ticker)).data;
  await admin("POST", "/mode", { venue: "kalshi", mode: "open" });

  const { kalshi_tier } = await admin("GET", "/behaviour");
  await admin("PATCH", "/behaviour", { kalshi_tier: "basic" });
  const orders = Array.from({ length: 11 }, () => limit("bid", "0.3000", "1.00"));
  told["too many"] = await refused(OrdersApi.batchCreateOrdersV2({ orders }));
  await admin("PATCH", "/behaviour", { kalshi_tier });
  say({ step: "states", told, status, cancelled });
}

/** Everything the book's subscription brought, and the book that REST shows now. */
async function bookAgain(socket) {
  const last = limit("bid", "0.1000", "1.00");
  await OrdersApi.createOrderV2(last);
  await socket.frame("orderbook_delta", (msg) => msg.client_order_id === last.client_order_id);
  const { yes_dollars, no_dollars } = (await MarketApi.getMarketOrderbook(ticker)).data.orderbook_fp;
  const frames = socket.frames.filter((frame) => frame.sid === 1);
  say({ step: "book again", frames, yes_dollars, no_dollars });
}

async function fillAndSettle(socket) {
  const now = { time_in_force: "immediate_or_cancel" };
  const none = (await OrdersApi.createOrderV2(limit("bid", "0.5000", "7.00", now))).data;
  const taken = (await OrdersApi.createOrderV2(limit("bid", "0.6500", "7.00", now))).data;
  const rest = (await OrdersApi.createOrderV2(limit("bid", "0.2000", "5.00"))).data;
  const fills = await eventually("both fills", async () => {
    const found = (await PortfolioApi.getFills(ticker)).data.fills;
    return found.length >= 2 && found;
  });
  const positions = await eventually("the position", async () => {
    const found = (await PortfolioApi.getPositions(undefined, undefined, undefined, ticker)).data;
    return found.market_positions[0]?.position_fp === "11.00" && found;
  });
  await orderThat(rest.order_id, (order) => order.status === "resting");
  const value = (await PortfolioApi.getPortfolioRestingOrderTotalValue()).data;
  say({ step: "fill", none, taken, fills, positions, value, balance: (await PortfolioApi.getBalance()).data });

  await admin("POST", `/markets/kalshi/${ticker}/determine`, { settlement_e4: 10_000, result: "yes" });
  await socket.frame("market_lifecycle_v2", (msg) => msg.event_type === "determined" && msg.market_ticker === ticker);
  await admin("POST", `/markets/kalshi/${ticker}/settle`);
  await socket.frame("market_lifecycle_v2", (msg) => msg.event_type === "settled" && msg.market_ticker === ticker);
  const settlement = await eventually("the settlement", async () => {
    return (await PortfolioApi.getSettlements(10, undefined, ticker)).data.settlements[0];
  });
  const market = await eventually("a finalized market", async () => {
    const found = (await MarketApi.getMarket(ticker)).data.market;
    return found.status === "finalized" && found;
  });
  const order = await orderThat(rest.order_id, (found) => found.status === "canceled");
  const late = await refused(OrdersApi.createOrderV2(limit("bid", "0.5000", "1.00")));
  say({ step: "settle", settlement, market, order, late, balance: (await PortfolioApi.getBalance()).data });
  // Last of all, for a venue's clock does not go back.
  await admin("POST", "/clock", { venue: "kalshi", skew_ms: 60_000 });
  say({ step: "wrong clock", ...(await refused(PortfolioApi.getBalance())) });
  say({ step: "end", seq: socket.frames.filter((frame) => frame.sid === 1).map((frame) => frame.seq) });
}

await discover();
await setBook();
say({ step: "start", balance: (await PortfolioApi.getBalance()).data });
const socket = await openSocket(key);
await stream(socket);
await placeAndChange(socket);
await refusals();
await batches();
await group();
await states();
await shards();
await bookAgain(socket);
await fillAndSettle(socket);
socket.close();
