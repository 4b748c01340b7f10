package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/plinth-ml/plinth/scaling"
)

func planText(r *scaling.PlanResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "budget %.4g FLOPs (%.4g PF-days)\n\n", r.Budget, r.Budget/scaling.PFDay)
	lawTable(&b, r.Laws, r.By)
	fmt.Fprintf(&b, "\nplan by %s\n", r.By)
	shapeLines(&b, r.Shape)
	trainingLines(&b, r.Training)
	if r.Loss != nil {
		fmt.Fprintf(&b, "  loss          %.4f by %s, for these parameters and tokens\n", *r.Loss, r.By)
	}
	if len(r.Over) > 0 {
		fmt.Fprintf(&b, "\n  smaller and trained longer, for the same loss\n  %8s %10s %10s %9s  cheaper in all from\n", "of N", "N", "D", "training")
		for _, o := range r.Over {
			if o.D == 0 {
				fmt.Fprintf(&b, "  %7.0f%% %10s      never\n", 100*o.Share, count(o.N))
				continue
			}
			fmt.Fprintf(&b, "  %7.0f%% %10s %10s %8.2fx  %s tokens of inference\n", 100*o.Share, count(o.N), count(o.D), o.Compute, count(o.PaysAt))
		}
	}
	if q := r.Repeated; q != nil {
		fmt.Fprintf(&b, "\n  text          %s tokens, read %.3g times: worth %s fresh ones; loss %.4f instead of %.4f (Muennighoff's law)\n",
			count(q.Unique), q.Epochs, count(q.Worth), q.Loss, q.Fresh)
	}
	if c := r.Cost; c != nil {
		b.WriteByte('\n')
		layoutLines(&b, c.Layout, c.Others)
		leanLine(&b, c.Leanest)
		fmt.Fprintf(&b, "  cost          %s device hours at an MFU of %.1f %%", count(c.DeviceHours), 100*c.MFU)
		if c.Hours > 0 {
			fmt.Fprintf(&b, ", %s", duration(c.Hours))
		}
		if c.Money > 0 {
			fmt.Fprintf(&b, ", %.4g in money", c.Money)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func publishedText(r *scaling.PublishedPlan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%.0f)\n  source        %s\n", r.Name, math.Floor(r.Year), r.Source)
	shapeLines(&b, r.Shape)
	if r.Printed > 0 {
		fmt.Fprintf(&b, "  printed       %.4g FLOPs\n", r.Printed)
	}
	if t := r.Training; t != nil {
		trainingLines(&b, *t)
	}
	if t := r.Rules; t != nil {
		fmt.Fprintf(&b, "  our rules     batch %d sequences, learning rate %.2g, warm-up %s tokens\n", t.Batch, t.LR, count(t.Warmup))
	}
	if r.Device != "" && r.Devices > 0 {
		fmt.Fprintf(&b, "\n  machine       %d x %s\n", r.Devices, r.Device)
	}
	layoutLines(&b, r.Layout, r.Others)
	leanLine(&b, r.Leanest)
	if r.StepTime > 0 {
		fmt.Fprintf(&b, "  at an MFU of  %.1f %%: %.4g s a step", 100*r.MFU, r.StepTime)
		if r.Days > 0 {
			fmt.Fprintf(&b, ", %.4g days", r.Days)
		}
		b.WriteByte('\n')
	}
	if len(r.Laws) > 0 {
		fmt.Fprintf(&b, "\nwhat 6ND = %.4g FLOPs would be best spent on\n", r.Budget)
		lawTable(&b, r.Laws, r.By)
		fmt.Fprintf(&b, "\npublished N %s, D %s, D/N %.3g", count(r.Shape.Counted), count(r.Tokens), r.Tokens/float64(r.Shape.Counted))
		if r.Loss > 0 {
			fmt.Fprintf(&b, ": loss %.4f by %s, %.4f above its optimum", r.Loss, r.By, r.Excess)
		}
		if r.SameLoss > 0 {
			fmt.Fprintf(&b, ", which %.0f %% of the compute reaches", 100*r.SameLoss)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// publishedTable has a line for each model.
func publishedTable(rows []*scaling.PublishedPlan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-17s %4s %8s %6s %5s %10s %8s %7s %9s | %9s %9s  %s\n", "", "year", "layers", "width", "heads", "N", "D", "D/N", "6ND", "best N", "best D", "same loss from")
	for _, r := range rows {
		fmt.Fprintf(&b, "%-17s %4.0f %8d %6d %5d %10s", r.Name, math.Floor(r.Year), r.Shape.Layers, r.Shape.Width, r.Shape.Heads, count(r.Shape.Counted))
		if r.Budget > 0 {
			fmt.Fprintf(&b, " %8s %7.1f %9.3g |", count(r.Tokens), r.Tokens/float64(r.Shape.Counted), r.Budget)
			for _, l := range r.Laws {
				if l.Name == r.By {
					fmt.Fprintf(&b, " %9s %9s", count(l.N), count(l.D))
				}
			}
			if r.SameLoss > 0 {
				fmt.Fprintf(&b, "  %.0f %% of the compute", 100*r.SameLoss)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// lawTable lists the laws; the one that decides is marked.
func lawTable(b *strings.Builder, rows []scaling.LawRow, by string) {
	fmt.Fprintf(b, "  %-19s %10s %10s %7s %8s  %s\n", "law", "N", "D", "D/N", "loss", "above the optimum of "+by)
	for _, r := range rows {
		mark, loss, excess := " ", "-", "-"
		if r.Name == by {
			mark = "*"
		}
		if r.Loss != nil {
			loss = fmt.Sprintf("%.4f", *r.Loss)
		}
		if r.Excess != nil {
			excess = fmt.Sprintf("%.4f", max(0, *r.Excess))
		}
		if r.Excess == nil && r.Count != rows[0].Count {
			excess = "its N counts " + r.Count + " parameters"
		}
		if r.Name == "kaplan" {
			excess += "; loss L(C_min)"
		}
		fmt.Fprintf(b, "%s %-19s %10s %10s %7.1f %8s  %s\n", mark, r.Name, count(r.N), count(r.D), r.D/r.N, loss, excess)
		if r.Beyond > 1 {
			fmt.Fprintf(b, "  %-19s extrapolated: %.3g times the compute of the largest run\n", "", r.Beyond)
		}
		if r.NRange != nil {
			fmt.Fprintf(b, "  %-19s N %s to %s, loss %.4f to %.4f in %.0f %% of the bootstrap\n", "", count(r.NRange.Low), count(r.NRange.High),
				r.LRange.Low, r.LRange.High, 100*scaling.Confidence)
		}
	}
}

func shapeLines(b *strings.Builder, s scaling.ShapeRow) {
	fmt.Fprintf(b, "  shape         layers %d, width %d, heads %d x %d, context %d, vocabulary %d\n", s.Layers, s.Width, s.Heads, s.HeadDim, s.Context, s.Vocab)
	fmt.Fprintf(b, "  parameters    %d", s.Params)
	if s.Counted != s.Params {
		fmt.Fprintf(b, ", of which %d count", s.Counted)
	}
	fmt.Fprintf(b, "\n  arithmetic    %sFLOP a token, forward and backward", count(s.PerToken))
	if s.SixND > 0 {
		fmt.Fprintf(b, "; %.4g in all, %.3f of 6ND", s.Exact, s.Exact/s.SixND)
	}
	b.WriteByte('\n')
}

func trainingLines(b *strings.Builder, t scaling.Training) {
	fmt.Fprintf(b, "  training     ")
	if t.Tokens > 0 {
		fmt.Fprintf(b, " %s tokens, %s steps of", count(t.Tokens), count(t.Steps))
	}
	fmt.Fprintf(b, " %d sequences (%s tokens", t.Batch, count(t.BatchTokens))
	if t.CriticalBatch > 0 {
		fmt.Fprintf(b, "; Kaplan's critical batch %s", count(t.CriticalBatch))
	}
	b.WriteString(")\n")
	if t.LR > 0 {
		fmt.Fprintf(b, "                learning rate %.2g", t.LR)
		if t.Warmup > 0 {
			fmt.Fprintf(b, ", warm-up %s tokens", count(t.Warmup))
		}
		b.WriteByte('\n')
	}
}

func layoutLines(b *strings.Builder, p *scaling.Proposal, others []scaling.Proposal) {
	if p == nil {
		return
	}
	m, s := p.Memory, p.Step
	fmt.Fprintf(b, "  layout        %s, batch %d\n", layoutName(p.Layout), p.Batch)
	fmt.Fprintf(b, "  device holds  %s parameters; %s: weights %.3g, gradients %.3g, optimiser %.3g, activations %.3g, ends %.3g, working %.3g\n", count(m.Params), gb(m.Total),
		m.Weights/1e9, m.Gradients/1e9, m.Optimizer/1e9, m.Activations/1e9, m.Ends/1e9, m.Working/1e9)
	if !p.Fits {
		b.WriteString("                does not fit: more than the device has\n")
	}
	fmt.Fprintf(b, "  step          %.4g s: products %.3g, memory %.3g, bubble %.3g, tensor %.3g, pipeline %.3g, data %.3g; MFU %.1f %%, HFU %.1f %%\n", s.Total,
		s.Compute, s.Memory, s.Bubble, s.Tensor, s.Pipeline, s.Data, 100*s.MFU, 100*s.HFU)
	for _, o := range others {
		fmt.Fprintf(b, "  next          %s, batch %d: %.4g s, %s\n", layoutName(o.Layout), o.Batch, o.Step.Total, gb(o.Memory.Total))
	}
}

// leanLine says what a device holds at least.
func leanLine(b *strings.Builder, p *scaling.Proposal) {
	if p == nil {
		return
	}
	what := "a device holds at least"
	if !p.Fits {
		what = "does not fit: a device would hold at least"
	}
	fmt.Fprintf(b, "  memory        %s %s, with %s, batch %d\n", what, gb(p.Memory.Total), layoutName(p.Layout), p.Batch)
}

func layoutName(l scaling.Layout) string {
	name := fmt.Sprintf("data %d x tensor %d x pipeline %d", l.Data, l.Tensor, l.Pipeline)
	if l.Interleave > 1 {
		name += fmt.Sprintf(" (interleave %d)", l.Interleave)
	}
	name += fmt.Sprintf(", micro %d", l.Micro)
	if l.ZeRO > 0 {
		name += fmt.Sprintf(", zero %d", l.ZeRO)
		if l.Shards > 0 {
			name += fmt.Sprintf(" over %d", l.Shards)
		}
	}
	if l.Sequence {
		name += ", sequence"
	}
	return name + ", recompute " + l.Recompute.String()
}

func gb(bytes float64) string { return fmt.Sprintf("%.3g GB", bytes/1e9) }

// duration of hours, in words.
func duration(hours float64) string {
	if hours >= 48 {
		return fmt.Sprintf("%.3g days", hours/24)
	}
	return fmt.Sprintf("%.3g hours", hours)
}
