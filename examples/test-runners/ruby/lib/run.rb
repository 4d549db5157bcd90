# SPDX-License-Identifier: LGPL-2.1-or-later
# frozen_string_literal: true

# Runs the tests in a process of their own and makes results.json of what it reports: whatever the solution does to
# that process, this one still says how it ended.

require "json"
require_relative "results"

slug, input, output = ARGV
abort "usage: run.sh SLUG IN/ OUT/" unless output

test_file = File.expand_path("#{slug.tr("-", "_")}_test.rb", input)
report_read, report_write = IO.pipe
child = spawn("ruby", "--disable=did_you_mean,error_highlight", "#{__dir__}/report.rb", test_file, "3",
              3 => report_write, :chdir => input, :in => File::NULL)
report_write.close
events = report_read.each_line.map { |line| JSON.parse(line, symbolize_names: true) }
Process.wait(child)

File.write(File.join(output, "results.json"), JSON.pretty_generate(Results.new(events).to_h))
