// An error of the page itself in one of its parts: the others, and the state, stay.
import { Component, type ReactNode } from "react";

interface GuardProps {
  /** What is said instead of the part. */
  sentence: string;
  children: ReactNode;
}

export class Guard extends Component<GuardProps, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? (
      <p className="alert" role="alert">
        {this.props.sentence}
      </p>
    ) : (
      this.props.children
    );
  }
}
