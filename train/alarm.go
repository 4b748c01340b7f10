package train

import "fmt"

// alarm counts the steps, one after the other, of which a Guarded objective sees that nothing is learnt, and tells of it each time that AlarmSteps more have
// passed. Steps of the warm-up do not count: their rates are too small to learn with. stuck is why the run must stop, where it must.
func (l *Loop) alarm(s stepResult) (stuck, err error) {
	g, ok := l.obj.(Guarded)
	if !ok {
		return nil, nil
	}
	reason := g.Symptom(s.loss)
	if reason == "" || l.pos.Step <= l.o.Warmup {
		l.pos.Ill, l.pos.Alarm = 0, ""
		return nil, nil
	}
	if l.pos.Ill++; l.pos.Ill%l.o.AlarmSteps != 0 {
		return nil, nil
	}
	reason = fmt.Sprintf("for %d steps nothing has been learnt: %s", l.pos.Ill, reason)
	l.pos.Alarm = reason
	if l.o.OnAlarm == "stop" {
		stuck = fmt.Errorf("train: %w after step %d: %s; on-alarm is stop", ErrAlarm, l.pos.Step, reason)
	}
	return stuck, l.report(Event{Kind: "alarm", Step: l.pos.Step, Message: reason})
}
