# SPDX-License-Identifier: LGPL-2.1-or-later
# frozen_string_literal: true

# report.rb TEST-FILE FD: loads and runs the tests, and writes an event a line to the descriptor (see results.rb).
# The solution runs in this process too, and may do anything to it.

require "json"
require "minitest"
require "stringio"
require_relative "test_source"

REPORT = IO.for_fd(Integer(ARGV[1]), "w").tap { |io| io.sync = true }
TEST_FILE = ARGV[0]
FOLDER = "#{File.dirname(TEST_FILE)}/"
OUTPUT_MAX = 500
OUTPUT_CUT = "\n[the rest of the output was cut]"

def report(event)
  REPORT.puts(JSON.generate(event))
end

# Text as people shall see it: valid UTF-8, files named as the student knows them.
def clean(text)
  text.dup.force_encoding("UTF-8").scrub("?").gsub(FOLDER, "")
end

def cut(output)
  return if output.empty?
  return output if output.length <= OUTPUT_MAX

  output[0, OUTPUT_MAX - OUTPUT_CUT.length] + OUTPUT_CUT
end

# Where in the student's own files an exception came from.
def places(exception)
  (exception.backtrace || []).select { |line| line.start_with?(FOLDER) }.reject { |line| line.start_with?(TEST_FILE) }
end

def describe(exception)
  ["#{exception.class}: #{exception.message}", *places(exception).map { |line| "    #{line}" }].join("\n")
end

# Every test runs, also those that a student is meant to enable one by one, and none twice.
module Minitest
  def self.autorun; end

  class Test
    def skip(*); end
  end
end

# What a test writes to $stdout goes with its result.
def capture
  out = $stdout
  $stdout = StringIO.new
  [yield, clean($stdout.string)]
ensure
  $stdout = out
end

def run_test(index, test)
  result, output = capture { test.method_class.new(test.method_name).run }
  failure = result.failures.first
  outcome = case failure
            when nil then { status: "pass" }
            when Minitest::UnexpectedError then { status: "error", message: clean(describe(failure.error)) }
            else { status: "fail", message: clean(failure.message) }
            end
  report(index: index, output: cut(output), **outcome)
rescue SystemExit
  report(index: index, status: "error", message: "The program ended itself.")
end

begin
  load TEST_FILE
  tests = TestSource.all(Minitest::Runnable.runnables, TEST_FILE)
  report(tests: tests.map { |test| { name: test.name, test_code: test.code } })
  tests.each_with_index { |test, index| run_test(index, test) }
rescue SystemExit
  report(error: "The program ended itself before any test could run.")
rescue ScriptError, StandardError => e
  report(error: clean(e.is_a?(SyntaxError) ? e.message : describe(e)))
end
exit!(0)
