package models

import "composer-api/internal/gateway/catalog"

// A modelList is the answer of GET /v1/models: OpenAI's list (data), and beside it the catalogue that
// Codex reads (models). Each client ignores the other's.
type modelList struct {
	// Object is "list".
	Object string       `json:"object"`
	Data   []model      `json:"data"`
	Models []codexModel `json:"models"`
	// Catalogue is ours: "builtin" when the list is not the live one.
	Catalogue string `json:"catalogue,omitempty"`
}

// A model is OpenAI's model object, with members that other clients read.
type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Name    string `json:"name"`
	// The tokens that the model takes, under the two names that clients look for: context_length is OpenRouter's.
	ContextWindow int `json:"context_window,omitempty"`
	ContextLength int `json:"context_length,omitempty"`
}

// A codexModel is an entry of Codex's model catalogue. Without an entry Codex treats the model
// as unknown and does not offer it apply_patch.
type codexModel struct {
	Slug                       string          `json:"slug"`
	DisplayName                string          `json:"display_name"`
	SupportedReasoningLevels   []string        `json:"supported_reasoning_levels"`
	ShellType                  string          `json:"shell_type"`
	Visibility                 string          `json:"visibility"`
	SupportedInAPI             bool            `json:"supported_in_api"`
	Priority                   int             `json:"priority"`
	SupportVerbosity           bool            `json:"support_verbosity"`
	TruncationPolicy           codexTruncation `json:"truncation_policy"`
	ExperimentalSupportedTools []string        `json:"experimental_supported_tools"`
	ApplyPatchToolType         string          `json:"apply_patch_tool_type"`
	ContextWindow              int             `json:"context_window,omitempty"`
	BaseInstructions           string          `json:"base_instructions"`
}

// codexTruncation is how much of a tool's output Codex keeps.
type codexTruncation struct {
	Mode string `json:"mode"`
	// Limit is in units of Mode.
	Limit int `json:"limit"`
}

// The reference system's name for composer-2.5 on /opencodev2, which clients have in their configuration.
const (
	sdkModelID   = "composer-2.5-sdk"
	sdkModelName = "Composer 2.5 SDK Harness"
)

// codexInstructions are Codex's base_instructions. The field is required, but the developer message
// that Codex sends takes its place anyway.
const codexInstructions = "You are a coding agent. Work in the user's project with the tools that you are given: read before you change, " +
	"make the smallest change that does the job, check it, and say briefly what you did."

// openAIModel is a model in OpenAI's form.
func openAIModel(m catalog.Model) model {
	return model{ID: m.ID, Object: "model", Created: m.Created.Unix(), OwnedBy: "cursor", Name: m.DisplayName, ContextWindow: m.ContextWindow, ContextLength: m.ContextWindow}
}

// codexEntry is a model in Codex's form. Apart from names and sizes, the values are those with which
// Codex works well with Composer: freeform apply_patch, and unified_exec as its shell.
func codexEntry(m catalog.Model) codexModel {
	return codexModel{
		Slug: m.ID, DisplayName: m.DisplayName, SupportedReasoningLevels: []string{}, ShellType: "unified_exec", Visibility: "list",
		SupportedInAPI: true, Priority: 13, SupportVerbosity: true, TruncationPolicy: codexTruncation{"tokens", 10_000},
		ExperimentalSupportedTools: []string{}, ApplyPatchToolType: "freeform", ContextWindow: m.ContextWindow, BaseInstructions: codexInstructions,
	}
}
