// Every call of the SDK that concerns Crossbook, once; one JSON line each with what was asked, answered and misfits.
import { randomUUID } from "node:crypto";
import { apiNames, callNames, clients, refusal, say, stage } from "./sdk.mjs";
import { misfits } from "./declared.mjs";
import { leftOut } from "./left_out.mjs";

const apis = clients(stage.kalshi_keys[1]);
const now = Math.floor(Date.now() / 1000);
const hour = 3_600;
const [ticker, other] = ["KXMAYOR-1-AVERY", "KXMAYOR-1-BELL"];
const [event, series] = ["KXMAYOR-1", "KXMAYOR"];
const made = {};

/** A buy that rests: one cent, far from every ask. */
function resting(more = {}) {
  return {
    ticker, side: "bid", count: "5.00", price: "0.0100", time_in_force: "good_till_canceled",
    self_trade_prevention_type: "taker_at_cross", client_order_id: randomUUID(), ...more,
  };
}

async function order(more) {
  return (await apis.OrdersApi.createOrderV2(resting(more))).data.order_id;
}

async function group() {
  return (await apis.OrderGroupsApi.createOrderGroup({ contracts_limit: 100 })).data.order_group_id;
}

// Arguments of each call, in the order in which they are made; a function may make what its call needs first.
const calls = {
  "ExchangeApi.getExchangeStatus": () => [],
  "ExchangeApi.getExchangeSchedule": () => [],
  "ExchangeApi.getUserDataTimestamp": () => [],
  "ExchangeApi.getSeriesFeeChanges": () => [series, true],
  "AccountApi.getAccountApiLimits": () => [],
  "AccountApi.getAccountEndpointCosts": () => [],
  "MarketApi.getSeriesList": () => ["Politics"],
  "MarketApi.getSeries": () => [series],
  "EventsApi.getEvents": () => [1, undefined, true],
  "EventsApi.getEvent": () => [event, true],
  "EventsApi.getEventFeeChanges": () => [event],
  "MarketApi.getMarkets": () => [2, undefined, event],
  "MarketApi.getMarket": () => [ticker],
  "MarketApi.getMarketOrderbook": () => [ticker, 5],
  "MarketApi.getMarketOrderbooks": () => [[ticker, other]],
  "MarketApi.getTrades": () => [10, undefined, ticker],
  "MarketApi.getMarketCandlesticks": () => [series, ticker, now - 6 * hour, now, 60, true],
  "MarketApi.batchGetMarketCandlesticks": () => [`${ticker},${other}`, now - 6 * hour, now, 60, true],
  "EventsApi.getMarketCandlesticksByEvent": () => [event, series, now - 6 * hour, now, 60],
  "HistoricalApi.getHistoricalCutoff": () => [],
  "HistoricalApi.getHistoricalMarkets": () => [10],
  "HistoricalApi.getHistoricalMarket": () => [ticker],
  "HistoricalApi.getMarketCandlesticksHistorical": () => [ticker, now - 6 * hour, now, 60],
  "HistoricalApi.getTradesHistorical": () => [ticker],
  "HistoricalApi.getFillsHistorical": () => [ticker],
  "HistoricalApi.getHistoricalOrders": () => [ticker],
  "HistoricalApi.getHistoricalPositions": () => [ticker],
  "OrdersApi.createOrderV2": () => [resting()],
  "OrdersApi.amendOrderV2": async () => [await order(), { ticker, side: "bid", price: "0.0200", count: "5.00" }],
  "OrdersApi.decreaseOrderV2": async () => [await order(), { reduce_to: "2.00", market_ticker: ticker }],
  "OrdersApi.cancelOrderV2": async () => [await order(), undefined, undefined, ticker],
  "OrdersApi.batchCreateOrdersV2": () => [{ orders: [resting(), resting({ price: "0.0155" })] }],
  "OrdersApi.batchCancelOrdersV2": async () => [{ orders: [{ order_id: await order(), market_ticker: ticker }] }],
  "OrdersApi.getOrders": () => [ticker, undefined, undefined, undefined, "resting", 10],
  "OrdersApi.getOrder": async () => [(made.order = await order())],
  "OrdersApi.getOrderQueuePosition": () => [made.order],
  "OrdersApi.getOrderQueuePositions": () => [ticker],
  "PortfolioApi.getPortfolioRestingOrderTotalValue": () => [],
  "OrderGroupsApi.createOrderGroup": () => [{ contracts_limit: 10 }],
  "OrderGroupsApi.getOrderGroups": () => [],
  "OrderGroupsApi.getOrderGroup": async () => [(made.group = await group())],
  "OrderGroupsApi.updateOrderGroupLimit": () => [made.group, { contracts_limit: 20 }],
  "OrderGroupsApi.triggerOrderGroup": () => [made.group],
  "OrderGroupsApi.resetOrderGroup": () => [made.group],
  "OrderGroupsApi.deleteOrderGroup": () => [made.group],
  "OrdersApi.cancelAllOrders": () => [],
  "PortfolioApi.getBalance": () => [],
  "PortfolioApi.getPositions": () => [],
  "PortfolioApi.getFills": () => [ticker],
  "PortfolioApi.getSettlements": () => [10],
  "PortfolioApi.getDeposits": () => [],
  "PortfolioApi.getWithdrawals": () => [],
  "PortfolioApi.getSubaccountBalances": () => [],
  "PortfolioApi.getSubaccountNetting": () => [],
  "PortfolioApi.updateSubaccountNetting": () => [{ subaccount_number: 0, enabled: true }],
  "PortfolioApi.getTargetBalanceAllocation": () => [],
  "PortfolioApi.setTargetBalanceAllocation": () => [
    { allocations: [0, 1, 2, 3].map((index) => ({ exchange_index: index, percent: index === 0 ? 40 : 20 })) },
  ],
  "PortfolioApi.intraExchangeInstanceTransfer": () => [
    {
      source: "event_contract", destination: "event_contract", amount: 10_000,
      source_exchange_shard: 0, destination_exchange_shard: 2,
    },
  ],
  "PortfolioApi.getIntraExchangeInstanceTransfers": () => [],
  "PortfolioApi.getIntraExchangeInstanceTransfer": () => [made.transfer],
};

for (const apiName of apiNames()) {
  for (const name of callNames(apiName)) {
    const reason = leftOut[`${apiName}.${name}`] ?? leftOut[apiName];
    const isCalled = `${apiName}.${name}` in calls;
    if (reason && !isCalled) say({ call: `${apiName}.${name}`, left_out: reason });
    if (Boolean(reason) === isCalled) say({ call: `${apiName}.${name}`, problem: "called and left out, or neither" });
  }
}

for (const [call, argumentsOf] of Object.entries(calls)) {
  const [apiName, name] = call.split(".");
  const { sent } = apis;
  try {
    const answer = await apis[apiName][name](...(await argumentsOf()));
    if (call === "PortfolioApi.intraExchangeInstanceTransfer") made.transfer = answer.data.transfer_id;
    say({ call, method: sent.method, path: sent.path, status: answer.status, misfits: misfits(name, answer.data) });
  } catch (error) {
    if (!error.response) say({ call, problem: error.message });
    else say({ call, method: sent.method, path: sent.path, ...refusal(error) });
  }
}
