package agentwire

import "composer-api/internal/cursor/pb"

// noUser is the reason that is given when a question for the user is refused. The model reads it.
const noUser = "This is not available here: there is nobody who could approve it. Carry on without it, with the tools that you have."

// RefuseQuery is the answer to a question for the user: no, in the form that each kind of question has.
// There is nobody whom we could ask. One that we don't know gets an answer without a result, so that
// upstream doesn't wait for it. Source: the protocol's table of what must be answered.
func RefuseQuery(q *pb.InteractionQuery) *pb.InteractionResponse {
	r := &pb.InteractionResponse{Id: q.GetId()}
	// Most kinds share one form of "no"; the others have one of their own.
	no := &pb.ApproveOrReject{Result: &pb.ApproveOrReject_Rejected{Rejected: &pb.Reason{Reason: noUser}}}
	switch q.GetQuery().(type) {
	case *pb.InteractionQuery_WebSearchRequestQuery:
		r.Result = &pb.InteractionResponse_WebSearchRequestResponse{WebSearchRequestResponse: no}
	case *pb.InteractionQuery_AskQuestionInteractionQuery:
		r.Result = &pb.InteractionResponse_AskQuestionInteractionResponse{AskQuestionInteractionResponse: &pb.AskQuestionAnswer{
			Result: &pb.AskQuestionResult{Result: &pb.AskQuestionResult_Rejected{Rejected: &pb.Reason{Reason: noUser}}},
		}}
	case *pb.InteractionQuery_SwitchModeRequestQuery:
		r.Result = &pb.InteractionResponse_SwitchModeRequestResponse{SwitchModeRequestResponse: no}
	case *pb.InteractionQuery_CreatePlanRequestQuery:
		r.Result = &pb.InteractionResponse_CreatePlanRequestResponse{CreatePlanRequestResponse: &pb.CreatePlanAnswer{
			Result: &pb.CreatePlanResult{Result: &pb.CreatePlanResult_Error{Error: &pb.ToolError{Error: noUser}}},
		}}
	case *pb.InteractionQuery_WebFetchRequestQuery:
		r.Result = &pb.InteractionResponse_WebFetchRequestResponse{WebFetchRequestResponse: no}
	case *pb.InteractionQuery_PrManagementRequestQuery:
		r.Result = &pb.InteractionResponse_PrManagementResult{PrManagementResult: &pb.PrManagementAnswer{
			Result: &pb.PrManagementAnswer_Rejected{Rejected: &pb.Reason{Reason: noUser}},
		}}
	case *pb.InteractionQuery_McpAuthRequestQuery:
		r.Result = &pb.InteractionResponse_McpAuthRequestResponse{McpAuthRequestResponse: no}
	case *pb.InteractionQuery_GenerateImageRequestQuery:
		r.Result = &pb.InteractionResponse_GenerateImageRequestResponse{GenerateImageRequestResponse: no}
	case *pb.InteractionQuery_ReplaceEnvArgs:
		r.Result = &pb.InteractionResponse_ReplaceEnvResult{ReplaceEnvResult: &pb.ReplaceEnvAnswer{
			Result: &pb.ReplaceEnvAnswer_Failure{Failure: &pb.ReplaceEnvFailure{ErrorMessage: noUser}},
		}}
	case *pb.InteractionQuery_ConnectScmRequestQuery:
		r.Result = &pb.InteractionResponse_ConnectScmRequestResponse{ConnectScmRequestResponse: no}
	}
	return r
}
