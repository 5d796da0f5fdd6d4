package openai

import (
	"math"
	"strconv"

	"composer-api/internal/agent"
)

// AppendUsage appends the usage object of chat and legacy completions. The members cost and cost_details, which stand
// there when the price is known, are the reference system's. The object holds no flag: clients add up all that looks like a number,
// and Python's booleans do.
//
//	{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":20,…},…}
//
// prompt_tokens is the whole prompt, what the cache served included; cached_tokens says how much of
// it that was.
func AppendUsage(b []byte, u *agent.Usage) []byte {
	b = append(b, `{"prompt_tokens":`...)
	b = strconv.AppendInt(b, u.Prompt(), 10)
	b = append(b, `,"completion_tokens":`...)
	b = strconv.AppendInt(b, u.Output, 10)
	b = append(b, `,"total_tokens":`...)
	b = strconv.AppendInt(b, u.Total(), 10)
	b = append(b, `,"prompt_tokens_details":{"cached_tokens":`...)
	b = strconv.AppendInt(b, u.CacheRead, 10)
	b = append(b, `,"cache_write_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWrite, 10)
	b = append(b, `},"completion_tokens_details":{"reasoning_tokens":`...)
	b = strconv.AppendInt(b, u.Reasoning, 10)
	b = append(b, '}')
	return append(AppendCost(b, u), '}')
}

// AppendCost appends, each with a comma before it, the members cost and cost_details; nothing when the price isn't known.
func AppendCost(b []byte, u *agent.Usage) []byte {
	details := NewCostDetails(u)
	if details == nil {
		return b
	}
	b = append(b, `,"cost":`...)
	b = strconv.AppendFloat(b, details.TotalUSD, 'f', -1, 64)
	b = append(b, `,"cost_details":`...)
	return append(b, Encode(details)...)
}

// AppendEstimated appends, with a comma before it, the member that stands beside usage when its numbers are estimated.
func AppendEstimated(b []byte, u *agent.Usage) []byte {
	if u.Estimated {
		b = append(b, `,"usage_estimated":true`...)
	}
	return b
}

// CostDetails is what a turn costs, in the reference system's form. What the cache served or took counts as input, at
// its own price.
type CostDetails struct {
	Currency string `json:"currency"` // "USD"
	// The amounts are in US dollars and add up to TotalUSD.
	InputUSD  float64 `json:"input_usd"`
	OutputUSD float64 `json:"output_usd"`
	TotalUSD  float64 `json:"total_usd"`
	Pricing   Pricing `json:"pricing"`
}

// Pricing is the model's price, in US dollars for a million tokens.
type Pricing struct {
	Input      float64 `json:"input_per_million_tokens_usd"`
	Output     float64 `json:"output_per_million_tokens_usd"`
	CacheRead  float64 `json:"cache_read_per_million_tokens_usd"`  // ours
	CacheWrite float64 `json:"cache_write_per_million_tokens_usd"` // ours
	Source     string  `json:"source"`
}

// priceSource says where the prices come from.
const priceSource = "Cursor's published prices"

// NewCostDetails makes the details of u; nil when the price isn't known.
func NewCostDetails(u *agent.Usage) *CostDetails {
	if u.Price == (agent.Price{}) {
		return nil
	}
	return &CostDetails{
		Currency: "USD", InputUSD: RoundCost(u.InputUSD()), OutputUSD: RoundCost(u.OutputUSD()), TotalUSD: RoundCost(u.CostUSD()),
		Pricing: Pricing{
			Input: u.Price.Input, Output: u.Price.Output, CacheRead: u.Price.CacheRead, CacheWrite: u.Price.CacheWrite, Source: priceSource,
		},
	}
}

// RoundCost rounds US dollars to a billionth, so that a sum of prices doesn't show as 0.00012000000000000002.
//
// A billionth of a dollar is far below the price of one token.
func RoundCost(usd float64) float64 { return math.Round(usd*1e9) / 1e9 }
