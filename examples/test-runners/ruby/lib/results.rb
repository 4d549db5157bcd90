# SPDX-License-Identifier: LGPL-2.1-or-later
# frozen_string_literal: true

# results.json, version 2, from the events of a run:
#
#   {tests: [{name, test_code}]}                 first: all tests there are, in the order of their file
#   {index, status, message, output}             one a test, in any order
#   {error}                                      instead of all that: no test could run
#
# A test without an event did not run: the solution ended the program.
class Results
  ENDED = "The program ended before this test did."

  def initialize(events)
    @error = events.find { |event| event.key?(:error) }
    @tests = events.find { |event| event.key?(:tests) }&.fetch(:tests)
    @outcomes = events.select { |event| event.key?(:index) }.to_h { |event| [event[:index], event] }
  end

  def to_h
    message = error_message
    return { version: 2, status: "error", message: message, tests: nil } if message

    tests = @tests.each_with_index.map { |test, index| test.merge(outcome(index)) }
    passed = tests.all? { |test| test[:status] == "pass" }
    { version: 2, status: passed ? "pass" : "fail", message: nil, tests: tests }
  end

  private

  def error_message
    return @error[:error] if @error
    return "The program ended before any test could run." if @tests.nil? || @outcomes.empty? && @tests.any?
    return "There are no tests." if @tests.empty?
  end

  def outcome(index)
    found = @outcomes[index] or return { status: "error", message: ENDED }
    found.slice(:status, :message, :output).compact
  end
end
