package localagent

import "composer-api/internal/cursorpb"

// noOneToAsk is why a question that upstream would have us put to the user is refused.
const noOneToAsk = "This is not available here: there is nobody who could approve it. Carry on without it, with the tools that you have."

// refuseQuery is the answer to a question for the user: no, in the form that each has. One that we don't know gets an
// answer without a result, so that nobody waits for it.
func refuseQuery(q *cursorpb.InteractionQuery) *cursorpb.InteractionResponse {
	r := &cursorpb.InteractionResponse{Id: q.GetId()}
	no := &cursorpb.ApproveOrReject{Result: &cursorpb.ApproveOrReject_Rejected{Rejected: &cursorpb.Reason{Reason: noOneToAsk}}}
	switch q.GetQuery().(type) {
	case *cursorpb.InteractionQuery_WebSearchRequestQuery:
		r.Result = &cursorpb.InteractionResponse_WebSearchRequestResponse{WebSearchRequestResponse: no}
	case *cursorpb.InteractionQuery_AskQuestionInteractionQuery:
		r.Result = &cursorpb.InteractionResponse_AskQuestionInteractionResponse{AskQuestionInteractionResponse: &cursorpb.AskQuestionAnswer{
			Result: &cursorpb.AskQuestionResult{Result: &cursorpb.AskQuestionResult_Rejected{Rejected: &cursorpb.Reason{Reason: noOneToAsk}}},
		}}
	case *cursorpb.InteractionQuery_SwitchModeRequestQuery:
		r.Result = &cursorpb.InteractionResponse_SwitchModeRequestResponse{SwitchModeRequestResponse: no}
	case *cursorpb.InteractionQuery_CreatePlanRequestQuery:
		r.Result = &cursorpb.InteractionResponse_CreatePlanRequestResponse{CreatePlanRequestResponse: &cursorpb.CreatePlanAnswer{
			Result: &cursorpb.CreatePlanResult{Result: &cursorpb.CreatePlanResult_Error{Error: &cursorpb.ToolError{Error: noOneToAsk}}},
		}}
	case *cursorpb.InteractionQuery_WebFetchRequestQuery:
		r.Result = &cursorpb.InteractionResponse_WebFetchRequestResponse{WebFetchRequestResponse: no}
	case *cursorpb.InteractionQuery_PrManagementRequestQuery:
		r.Result = &cursorpb.InteractionResponse_PrManagementResult{PrManagementResult: &cursorpb.PrManagementAnswer{
			Result: &cursorpb.PrManagementAnswer_Rejected{Rejected: &cursorpb.Reason{Reason: noOneToAsk}},
		}}
	case *cursorpb.InteractionQuery_McpAuthRequestQuery:
		r.Result = &cursorpb.InteractionResponse_McpAuthRequestResponse{McpAuthRequestResponse: no}
	case *cursorpb.InteractionQuery_GenerateImageRequestQuery:
		r.Result = &cursorpb.InteractionResponse_GenerateImageRequestResponse{GenerateImageRequestResponse: no}
	case *cursorpb.InteractionQuery_ReplaceEnvArgs:
		r.Result = &cursorpb.InteractionResponse_ReplaceEnvResult{ReplaceEnvResult: &cursorpb.ReplaceEnvAnswer{
			Result: &cursorpb.ReplaceEnvAnswer_Failure{Failure: &cursorpb.ReplaceEnvFailure{ErrorMessage: noOneToAsk}},
		}}
	case *cursorpb.InteractionQuery_ConnectScmRequestQuery:
		r.Result = &cursorpb.InteractionResponse_ConnectScmRequestResponse{ConnectScmRequestResponse: no}
	}
	return r
}
