#!/usr/bin/perl
# SPDX-License-Identifier: ISC
# mail_dkim.pl WHAT RECORDS FILE...: Mail::DKIM for test_mailauth_interop.py.
#   verify, verify-arc: one line per file: the result
#   sign:C/C KEY DOMAIN SELECTOR FILE...: writes FILE.signed
#   seal KEY DOMAIN SELECTOR FILE...: writes FILE.sealed
use strict;
use warnings;
use Mail::DKIM::ARC::Signer;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::PrivateKey;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
use Net::DNS::RR;

my %records;

sub read_records {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    while (<$in>) {
        chomp;
        my ($name, $text) = split /\t/, $_, 2;
        push @{$records{lc $name}}, $text;
    }
}

{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query = sub {
        my ($name, $type) = @_;
        return map {
            my @strings = unpack '(a255)*', $_;
            Net::DNS::RR->new(owner => $name, type => 'TXT', txtdata => \@strings);
        } @{$records{lc $name} || []};
    };
}

sub feed {
    my ($object, $path) = @_;
    open my $in, '<:raw', $path or die "$path: $!";
    local $/;
    $object->PRINT(<$in>);
    $object->CLOSE;
}

sub slurp {
    my ($path) = @_;
    open my $in, '<:raw', $path or die "$path: $!";
    local $/;
    return scalar <$in>;
}

sub put {
    my ($path, $text) = @_;
    open my $out, '>:raw', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
}

my ($what, $records) = splice @ARGV, 0, 2;
read_records($records);

if ($what eq 'verify') {
    for my $path (@ARGV) {
        my $verifier = Mail::DKIM::Verifier->new;
        feed($verifier, $path);
        print join(' ', map { $_->result_detail } $verifier->signatures) || 'none', "\n";
    }
} elsif ($what eq 'verify-arc') {
    for my $path (@ARGV) {
        my $verifier = Mail::DKIM::ARC::Verifier->new;
        feed($verifier, $path);
        print $verifier->result_detail, "\n";
    }
} elsif ($what =~ /^sign:(.*)$/) {
    my ($key, $domain, $selector) = splice @ARGV, 0, 3;
    for my $path (@ARGV) {
        my $signer = Mail::DKIM::Signer->new(
            Algorithm => 'rsa-sha256', Method => $1, Domain => $domain,
            Selector => $selector, KeyFile => $key);
        feed($signer, $path);
        my $field = $signer->signature->as_string;
        put("$path.signed", "$field\015\012" . slurp($path));
    }
} elsif ($what eq 'seal') {
    my ($key, $domain, $selector) = splice @ARGV, 0, 3;
    for my $path (@ARGV) {
        my $signer = Mail::DKIM::ARC::Signer->new(
            Algorithm => 'rsa-sha256', Domain => $domain, SrvId => $domain,
            Selector => $selector, KeyFile => $key, Chain => 'ar');
        feed($signer, $path);
        die "no seal for $path: " . $signer->result_detail . "\n"
            unless $signer->result eq 'sealed';
        put("$path.sealed", join('', map { "$_\015\012" } $signer->as_strings) . slurp($path));
    }
} else {
    die "what is $what?\n";
}
